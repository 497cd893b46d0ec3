"""Nothing that looks personal leaves through a log line."""

import json

import pytest
import structlog

from shared.logs import configure_logs, redact_text


@pytest.mark.parametrize(
    "text",
    [
        "mail dana.reyes@acme.example now",
        "call +49 30 9018 2345",
        '{"email": "x@y.co"}',
        "Key (email)=(a+b@c.de) exists",
    ],
)
def test_addresses_and_numbers_are_taken_out(text: str) -> None:
    assert "[redacted]" in redact_text(text)
    assert "@" not in redact_text(text)


def test_ids_and_plain_words_stay() -> None:
    assert redact_text("lead 01a20cb0-c221-76bc took 12 ms + 3") == "lead 01a20cb0-c221-76bc took 12 ms + 3"


def test_exception_text_is_redacted_too(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("test", "info")
    try:
        failure = ValueError("duplicate dana.reyes@acme.example")
        structlog.get_logger().error("failed", lead_id="l-1", exc_info=failure)
        line = json.loads(capsys.readouterr().out)
    finally:
        structlog.reset_defaults()
        structlog.contextvars.clear_contextvars()
    assert "dana.reyes" not in json.dumps(line)
    assert line["service"] == "test"
    assert line["lead_id"] == "l-1"
