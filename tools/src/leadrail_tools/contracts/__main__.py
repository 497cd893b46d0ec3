"""``python -m leadrail_tools.contracts [--check] [--against REF]``."""

import argparse
import difflib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml

from leadrail_tools.checkout import repository_root
from leadrail_tools.contracts.breaking import changes_between, moves_between
from leadrail_tools.contracts.documents import (
    GENERATED_FOLDERS,
    WRITTEN_BY_HAND,
    generated_documents,
)
from leadrail_tools.contracts.history import (
    ASYNCAPI,
    CONTRACTS,
    accepted_breaks,
    asyncapi_at,
    baselines,
    schemas_at,
)


def main() -> int:
    arguments = _arguments()
    root = arguments.root or repository_root()
    documents = generated_documents()
    stale = list(_stale_files(root, documents))
    if arguments.check:
        failures = [
            *_differences(root, documents),
            *(f"{path}: nothing generates this file any more" for path in stale),
        ]
    else:
        failures = []
        _write(root, documents, stale)
    failures += _breaking_changes(root, documents, [arguments.against] if arguments.against else list(baselines(root)))
    for failure in failures:
        print(failure)
    verb = "checked" if arguments.check else "written"
    print(f"contracts: {len(documents)} documents {verb}, {len(failures)} problems")
    return 1 if failures else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m leadrail_tools.contracts", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail on a difference")
    parser.add_argument("--against", metavar="REF", help="commit whose schemas must still be readable")
    parser.add_argument("--root", type=Path, help="the checkout (default: the one this runs in)")
    return parser.parse_args()


def _write(root: Path, documents: dict[str, str], stale: list[str]) -> None:
    for path, text in documents.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    for path in stale:
        (root / path).unlink()


def _stale_files(root: Path, documents: dict[str, str]) -> Iterator[str]:
    for folder in GENERATED_FOLDERS:
        for file in sorted((root / folder).rglob("*")):
            path = file.relative_to(root).as_posix()
            if file.suffix in {".json", ".yaml"} and path not in documents and path not in WRITTEN_BY_HAND:
                yield path


def _differences(root: Path, documents: dict[str, str]) -> Iterator[str]:
    for path, text in documents.items():
        file = root / path
        if not file.is_file():
            yield f"{path}: missing; run `make contracts` and commit it"
        elif (committed := file.read_text(encoding="utf-8")) != text:
            lines = difflib.unified_diff(
                committed.splitlines(), text.splitlines(), "committed", "generated", lineterm="", n=1
            )
            yield f"{path}: differs from its source; run `make contracts` and commit it\n  " + "\n  ".join(
                list(lines)[:12]
            )


def _breaking_changes(root: Path, documents: dict[str, str], references: list[str]) -> list[str]:
    accepted = accepted_breaks(root)
    new = {
        Path(path).parent.name: json.loads(text) for path, text in documents.items() if path.endswith("/schema.json")
    }
    found: dict[str, str] = {}
    for reference in references:
        moves = moves_between(asyncapi_at(root, reference), yaml.safe_load(documents[ASYNCAPI]))
        for change in (*changes_between(schemas_at(root, reference), new), *moves):
            if change.severity == "notice":
                print(f"notice (deploy the readers first): {change}")
            elif str(change) not in accepted:
                found[str(change)] = (
                    f"breaking since {reference}: {change}\n"
                    f"  make a new version of the type, or accept it with a reason in {CONTRACTS}/accepted-breaks.yaml"
                )
    return list(found.values())


if __name__ == "__main__":
    sys.exit(main())
