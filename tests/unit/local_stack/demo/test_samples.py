"""The samples are what senders send, new in every run, and become what the demo says: ingest's own mapping is asked."""

from datetime import UTC, datetime
from importlib.resources import files

import pytest

from ingest.delivery_body import parse_body
from ingest.domain.records import IgnoredRecord, LeadRecord, Record, UnmappableRecord
from ingest.domain.senders.registry import SENDERS
from ingest.domain.source import Inbound, Source
from ingest.domain.verification import SignedRequest, find_proof
from local_stack.demo.samples import LEAD, Fate, Sample, _edited, make_samples
from local_stack.load.senders import KINDS, WEBHOOKS_SECRET, Signing
from local_stack.load.setup import submissions_path

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
SIGNING = {kind: Signing(WEBHOOKS_SECRET, f"https://leads.example.com{submissions_path(kind)}") for kind in KINDS}
SAMPLES = make_samples(SIGNING, NOON, "1a2b3c")
ACCEPTED = [sample for sample in SAMPLES if sample.status == 200]


def headers_of(sample: Sample) -> dict[bytes, bytes]:
    return {name.lower().encode(): value.encode() for name, value in sample.post.headers.items()}


def proof_of(sample: Sample) -> bytes | None:
    url = SIGNING[sample.kind].url
    request = SignedRequest("POST", url, headers_of(sample), sample.post.body)
    return find_proof(SENDERS[sample.kind].schemes, request, (WEBHOOKS_SECRET.encode(),), NOON)


def records_of(sample: Sample) -> tuple[Record, ...]:
    sender = SENDERS[sample.kind]
    payload, is_form = parse_body(sender, headers_of(sample), sample.post.body)
    source = Source(key="demo", kind=sample.kind)
    inbound = Inbound(
        payload=payload, source=source, received_at=NOON, headers=headers_of(sample), proof=b"", is_form=is_form
    )
    return sender.map_delivery(inbound)


def fate_of(record: Record) -> Fate:
    match record:
        case LeadRecord():
            return LEAD if record.lead.email else Fate("quarantined", "no_contact")
        case IgnoredRecord():
            return Fate("ignored", record.reason)
        case UnmappableRecord():
            return Fate("quarantined", record.reason)
        case _:
            raise AssertionError(record)


@pytest.mark.parametrize("sample", ACCEPTED, ids=lambda sample: sample.title)
def test_sample_becomes_what_the_demo_expects(sample: Sample) -> None:
    assert sorted(map(fate_of, records_of(sample)), key=str) == sorted(sample.fates, key=str)


@pytest.mark.parametrize("sample", ACCEPTED, ids=lambda sample: sample.title)
def test_sample_proves_its_sender(sample: Sample) -> None:
    assert proof_of(sample) is not None


def test_forged_signature_differs_in_one_digit_and_proves_nothing() -> None:
    [forged] = [sample for sample in SAMPLES if sample.status == 401]
    [genuine] = [sample for sample in ACCEPTED if sample.kind == "zoom"]
    pairs = zip(forged.post.headers["x-zm-signature"], genuine.post.headers["x-zm-signature"], strict=True)
    assert sum(one != other for one, other in pairs) == 1
    assert forged.post.body == genuine.post.body
    assert proof_of(forged) is None


@pytest.mark.parametrize("sample", [one for one in ACCEPTED if one.kind != "web_form"], ids=lambda sample: sample.title)
def test_sample_of_another_run_is_no_twin(sample: Sample) -> None:
    later = {one.title: one for one in make_samples(SIGNING, NOON.replace(hour=13), "1a2b3d")}[sample.title]
    keys = [{record.dedupe_key for record in records_of(one)} for one in (sample, later)]
    assert None not in keys[0] | keys[1]
    assert not keys[0] & keys[1]


def test_all_six_senders_send() -> None:
    assert {sample.kind for sample in ACCEPTED} == set(KINDS)


def test_bytes_of_the_zoom_sample_are_kept_but_for_three_values() -> None:
    [zoom] = [sample for sample in ACCEPTED if sample.kind == "zoom"]
    original = files("local_stack.demo").joinpath("payloads", "zoom.webinar.registration_created.json").read_bytes()
    changed = [
        (old, new) for old, new in zip(original.splitlines(), zoom.post.body.splitlines(), strict=True) if old != new
    ]
    assert [old.split(b":")[0].strip() for old, _ in changed] == [b'"event_ts"', b'"id"', b'"email"']


@pytest.mark.parametrize("body", [b"", b"id id"])
def test_value_that_is_not_there_once_cannot_be_replaced(body: bytes) -> None:
    with pytest.raises(ValueError, match="not there once"):
        _edited(body, {b"id": "1"})
