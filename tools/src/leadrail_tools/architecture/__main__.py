"""``python -m leadrail_tools.architecture``: print every broken rule and exit 1, or say how much was checked."""

import sys
from pathlib import Path

from leadrail_tools.architecture.check import RULES, check_repository, python_files
from leadrail_tools.checkout import repository_root


def main() -> int:
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else repository_root()
    findings = check_repository(root)
    for finding in findings:
        print(finding)
    files = sum(1 for _ in python_files(root))
    print(f"architecture: {files} files, {len(RULES) + 1} rules, {len(findings)} broken")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
