import json
from datetime import UTC, datetime, timedelta

import pytest

from ingest.domain.senders.registry import SENDERS as KNOWN
from ingest.domain.verification import SignedRequest, find_proof
from local_stack.bench.mix import SENDER_SHARES, Planned
from local_stack.bench.requests import build_requests, stamps_for
from local_stack.load.senders import WEBHOOKS_SECRET, Signing

NOW = datetime(2026, 11, 24, 10, tzinfo=UTC)
SIGNING = {
    kind: Signing(WEBHOOKS_SECRET if kind == "standard_webhooks" else "s3cret", f"https://leads.example.com/{kind}")
    for kind in SENDER_SHARES
}


def build(*planned: Planned):
    stamps = [NOW + timedelta(seconds=number) for number in range(len(planned))]
    return build_requests(planned, stamps, signing=SIGNING, population="t", host="127.0.0.1:1")


def split(wire: bytes) -> tuple[str, dict[bytes, bytes], bytes]:
    head, _, body = wire.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    return first.decode(), dict(line.split(b": ", 1) for line in lines), body


def is_proven(kind: str, wire: bytes) -> bool:
    _, headers, body = split(wire)
    sender = KNOWN[kind]
    request = SignedRequest("POST", SIGNING[kind].url, headers, body)
    return find_proof(sender.schemes, request, (SIGNING[kind].secret.encode(),), NOW) is not None


@pytest.mark.parametrize("kind", [kind for kind in SENDER_SHARES if kind != "web_form"])
def test_request_carries_a_signature_that_ingest_accepts(kind) -> None:
    assert is_proven(kind, build(Planned("new", kind, 1))[0].wire)


@pytest.mark.parametrize("kind", ["zoom", "cloudevents"])
def test_activity_is_signed_too(kind) -> None:
    assert is_proven(kind, build(Planned("activity", kind, 1))[0].wire)


@pytest.mark.parametrize("kind", SENDER_SHARES)
def test_length_of_the_body_is_announced(kind) -> None:
    _, headers, body = split(build(Planned("new", kind, 1))[0].wire)
    assert int(headers[b"content-length"]) == len(body)


def test_duplicate_is_the_same_bytes_again() -> None:
    first, again = build(Planned("new", "web_form", 1), Planned("duplicate", "web_form", 1, repeats=0))
    assert first == again


@pytest.mark.parametrize("kind", SENDER_SHARES)
def test_person_who_comes_back_sends_another_delivery(kind) -> None:
    first, later = build(Planned("new", kind, 1), Planned("returning", kind, 1))
    assert first.wire != later.wire


def test_wrong_signature_is_refused() -> None:
    request = build(Planned("invalid", "zoom", 1, flaw="wrong_signature"))[0]
    assert request.expected == 401
    assert not is_proven("zoom", request.wire)


def test_broken_json_is_signed_so_that_only_the_json_is_wrong() -> None:
    request = build(Planned("invalid", "typeform", 1, flaw="broken_json"))[0]
    assert request.expected == 400
    assert is_proven("typeform", request.wire)
    with pytest.raises(json.JSONDecodeError):
        json.loads(split(request.wire)[2])


def test_unmappable_delivery_is_accepted_because_a_retry_would_not_help() -> None:
    request = build(Planned("invalid", "hubspot", 1, flaw="unmappable"))[0]
    assert request.expected == 200
    assert is_proven("hubspot", request.wire)


def test_paced_requests_are_signed_when_they_are_due() -> None:
    assert stamps_for([0.5, 2.0], NOW) == [NOW + timedelta(seconds=0.5), NOW + timedelta(seconds=2)]


def test_burst_is_signed_before_it_starts_each_at_its_own_instant() -> None:
    stamps = stamps_for([0.0] * 1_000, NOW)
    assert len(set(stamps)) == 1_000
    assert stamps == sorted(stamps)
    assert NOW - timedelta(seconds=1) < stamps[0] < stamps[-1] < NOW
