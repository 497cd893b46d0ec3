"""The demo, as a stranger runs it: a process without a terminal, on a folder of its own."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

PARTS = (
    "All services are ready",
    "200 leads posted",
    "Typeform without an address",
    "quarantined: no_contact",
    "ignored: redacted; quarantined: contact_not_fetched; lead, ",
    "ignored: event_type",
    "the same ids",
    "owner, or why none",
    "withheld by consent",
    "nurtured: below_mql_threshold",
    "verified",
    "ms to callback",
    "accepted = the sum of all states",
    "milliseconds from receipt to",
    "histogram, interpolated",
    "stored instants, exact",
    "All of it is right.",
)
PATTERNS = (
    r"^Zoom, a digit of the signature changed +401",
    r"^a key that no source has +404",
    *(
        rf"^{service} +http://127\.0\.0\.1:\d+/docs +http://127\.0\.0\.1:\d+/metrics"
        for service in ("ingest", "scoring", "consent", "routing", "sla-monitor")
    ),
    *(
        rf"^{stage} +\d+ +\d+ +\d+ +\d+ "
        for stage in ("captured", "enriched", "scored", "consented", "assigned", "callback")
    ),
)
LEAD_LINE = r"^.+ (?:web_form|zoom|typeform|hubspot|standard_webhooks|cloudevents) +\d+ [ABCD] .*$"


@pytest.mark.timeout(240)
def test_demo_ends_with_a_balanced_ledger_and_exit_code_zero(tmp_path: Path) -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "local_stack", "demo", "--data", str(tmp_path / "data")],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    said = finished.stdout
    assert finished.returncode == 0, said[-3000:] + finished.stderr[-2000:]
    assert [part for part in PARTS if part not in said] == []
    assert "WRONG" not in said
    assert [pattern for pattern in PATTERNS if not re.search(pattern, said, re.MULTILINE)] == []
    # 200 leads and the seven of the samples, a line each.
    assert len(re.findall(LEAD_LINE, said, re.MULTILINE)) == 207
