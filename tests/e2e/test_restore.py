"""The database is lost under traffic and restored to an earlier instant; Kafka and the CRM are ahead of it."""

import subprocess
import sys
from pathlib import Path

import pytest

PARTS = (
    "the instant to restore",
    "accepted while Kafka is away",
    "restored from base backup and archive",
    "have learned again",
    "consumer is rewound",
    "Senders repeat",
    "are lost, as documented",
    "All of it is right",
)


@pytest.mark.timeout(400)  # servers and services start twice, on whatever else runs here
def test_after_a_restore_the_ledger_balances_no_lead_has_a_second_owner_and_every_no_holds(tmp_path: Path) -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "local_stack", "restore-drill", "--data", str(tmp_path / "drill"), "--leads", "12"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    said = finished.stdout
    assert finished.returncode == 0, said[-3000:] + finished.stderr[-2000:]
    assert "WRONG" not in said
    assert [part for part in PARTS if part not in said] == []
