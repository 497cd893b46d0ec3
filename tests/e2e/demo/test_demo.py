"""The demo, as a stranger runs it."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.timeout(240)
def test_demo_ends_with_a_balanced_ledger_and_exit_code_zero(tmp_path: Path) -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "local_stack", "demo", "--data", str(tmp_path / "data")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout[-3000:] + finished.stderr[-2000:]
    for part in ("= the sum", "verified", "milliseconds from receipt to", "/metrics", "All of it is right."):
        assert part in finished.stdout
    assert "WRONG" not in finished.stdout
