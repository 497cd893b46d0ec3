"""Signatures: published vectors hold, and nothing else does."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.domain.senders import cloudevents, generic_json, hubspot, standard_webhooks, typeform, web_form, zoom
from ingest.domain.verification import (
    DUMMY_SECRETS,
    SharedSecret,
    Signature,
    SignedRequest,
    Timestamp,
    find_proof,
)

WEBHOOKS = Path(__file__).parents[2] / "fixtures" / "webhooks"
URL = "https://www.example.com/webhook_uri"


def vectors(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((WEBHOOKS / name / "vectors.json").read_text())["vectors"]
    return found


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def request(headers: dict[bytes, bytes], body: bytes, url: str = URL) -> SignedRequest:
    return SignedRequest("POST", url, headers, body)


@pytest.mark.parametrize("vector", vectors("zoom"))
def test_zoom_vectors_hold(vector: dict[str, Any]):
    headers = {
        b"x-zm-signature": vector["signature"].encode(),
        b"x-zm-request-timestamp": vector["timestamp"].encode(),
    }
    proof = find_proof(
        zoom.SENDER.schemes,
        request(headers, base64.b64decode(vector["body_base64"])),
        (vector["secret"].encode(),),
        at(1720705455),
    )
    assert (proof is not None) == vector["expect_valid"]


@pytest.mark.parametrize("vector", vectors("standard-webhooks"), ids=lambda vector: vector["name"])
@pytest.mark.parametrize("prefix", [b"webhook", b"svix"])
def test_standard_webhooks_vectors_hold_under_both_header_names(vector: dict[str, Any], prefix: bytes):
    headers = {
        prefix + b"-id": vector["webhook_id"].encode(),
        prefix + b"-timestamp": vector["webhook_timestamp"].encode(),
        prefix + b"-signature": vector["webhook_signature"].encode(),
    }
    proof = find_proof(
        standard_webhooks.SENDER.schemes,
        request(headers, vector["body"].encode()),
        (vector["secret"].encode(),),
        at(vector.get("clock", 1614265330)),
    )
    assert (proof is not None) == vector["expect_valid"]


def hubspot_headers(vector: dict[str, Any]) -> dict[bytes, bytes]:
    if vector["version"] == "v3":
        return {
            b"x-hubspot-signature-v3": vector["signature"].encode(),
            b"x-hubspot-request-timestamp": vector["timestamp_ms"].encode(),
        }
    return {
        b"x-hubspot-signature": vector["signature"].encode(),
        b"x-hubspot-signature-version": vector["version"].encode(),
    }


@pytest.mark.parametrize("vector", vectors("hubspot"), ids=lambda vector: vector["version"])
def test_hubspot_vectors_hold(vector: dict[str, Any]):
    signed = request(hubspot_headers(vector), vector["body"].encode())
    secrets = (vector["secret"].encode(),)
    assert find_proof(hubspot.SENDER.schemes, signed, secrets, at(1693657560)) == secrets[0]


def test_a_valid_old_signature_is_no_way_around_a_wrong_new_one():
    v1, _, v3 = vectors("hubspot")
    headers = {**hubspot_headers(v1), **hubspot_headers(v3), b"x-hubspot-signature-v3": b"AAAA"}
    signed = request(headers, v1["body"].encode())
    assert find_proof(hubspot.SENDER.schemes, signed, (v1["secret"].encode(),), at(1693657560)) is None


def test_the_meta_construction_holds():
    [vector] = vectors("meta-lead-ads")
    scheme = Signature(header=b"x-hub-signature-256", parse="prefix", label=b"sha256=")
    signed = request({b"x-hub-signature-256": vector["header"].encode()}, vector["body"].encode())
    assert find_proof((scheme,), signed, (vector["secret"].encode(),), at(0)) is not None


def test_the_segment_construction_holds():
    [vector] = vectors("segment")
    scheme = Signature(header=b"x-signature", algorithm="sha1")
    signed = request({b"x-signature": vector["header"].encode()}, vector["body"].encode())
    assert find_proof((scheme,), signed, (vector["secret"].encode(),), at(0)) is not None


BODY = b'{"event":"form_response"}'
SECRET = b"a secret of the sender"
SCHEMES: dict[str, Signature] = {
    "raw": Signature(header=b"x-sig"),
    "prefix": typeform.SENDER.schemes[0],  # type: ignore[dict-item]
    "pairs": Signature(
        header=b"stripe-signature", template="{timestamp}.{body}", parse="pairs", label=b"v1", timestamp=Timestamp()
    ),
    "header timestamp": zoom.SENDER.schemes[0],  # type: ignore[dict-item]
    "milliseconds and url": hubspot.SENDER.schemes[0],  # type: ignore[dict-item]
    "list": Signature(header=b"x-list", parse="list", label=b"v1,", encoding="base64"),
}
NOW = at(1_700_000_000)


def sign(scheme: Signature, body: bytes, secret: bytes, now: datetime) -> dict[bytes, bytes]:
    """Sign as the sender would, written apart from the code under test."""
    stamp = str(int(now.timestamp()) * (1000 if scheme.timestamp and scheme.timestamp.unit == "ms" else 1)).encode()
    message = {
        b"x-sig": body,
        b"typeform-signature": body,
        b"stripe-signature": stamp + b"." + body,
        b"x-zm-signature": b"v0:" + stamp + b":" + body,
        b"x-hubspot-signature-v3": b"POST" + URL.encode() + body + stamp,
        b"x-list": body,
    }[scheme.header]
    digest = hmac.new(secret, message, hashlib.sha256).digest()
    text = digest.hex().encode() if scheme.encoding == "hex" else base64.b64encode(digest)
    value = {
        "raw": text,
        "prefix": scheme.label + text,
        "pairs": b"t=" + stamp + b",v0=00,v1=" + text,
        "list": b"v1a,AAAA v1," + text,
    }[scheme.parse]
    headers = {scheme.header: value}
    if scheme.timestamp is not None and scheme.timestamp.header is not None:
        headers[scheme.timestamp.header] = stamp
    return headers


@pytest.mark.parametrize("name", SCHEMES)
def test_a_right_signature_is_accepted(name: str):
    scheme = SCHEMES[name]
    signed = request(sign(scheme, BODY, SECRET, NOW), BODY)
    assert find_proof((scheme,), signed, (SECRET,), NOW) == SECRET


@pytest.mark.parametrize("name", SCHEMES)
def test_the_second_active_secret_is_accepted_too(name: str):
    scheme = SCHEMES[name]
    signed = request(sign(scheme, BODY, SECRET, NOW), BODY)
    assert find_proof((scheme,), signed, (b"a newer secret", SECRET), NOW) == SECRET


@pytest.mark.parametrize("name", SCHEMES)
def test_every_flipped_byte_of_the_body_is_refused(name: str):
    scheme = SCHEMES[name]
    headers = sign(scheme, BODY, SECRET, NOW)
    flipped = [BODY[:n] + bytes([BODY[n] ^ 1]) + BODY[n + 1 :] for n in range(len(BODY))]
    assert [find_proof((scheme,), request(headers, body), (SECRET,), NOW) for body in flipped] == [None] * len(BODY)


@pytest.mark.parametrize("name", ["pairs", "header timestamp", "milliseconds and url"])
@pytest.mark.parametrize("shift", [timedelta(seconds=301), timedelta(seconds=-301)])
def test_a_time_too_far_in_either_direction_is_refused(name: str, shift: timedelta):
    scheme = SCHEMES[name]
    signed = request(sign(scheme, BODY, SECRET, NOW), BODY)
    assert find_proof((scheme,), signed, (SECRET,), NOW + shift) is None


@pytest.mark.parametrize("name", SCHEMES)
@pytest.mark.parametrize("secrets", [(), (b"",), (b"another secret",)])
def test_without_the_secret_nothing_is_accepted(name: str, secrets: tuple[bytes, ...]):
    scheme = SCHEMES[name]
    signed = request(sign(scheme, BODY, SECRET, NOW), BODY)
    assert find_proof((scheme,), signed, secrets, NOW) is None


@pytest.mark.parametrize("name", SCHEMES)
def test_an_empty_secret_is_no_secret_even_if_somebody_signs_with_it(name: str):
    scheme = SCHEMES[name]
    signed = request(sign(scheme, BODY, b"", NOW), BODY)
    assert find_proof((scheme,), signed, (b"",), NOW) is None


def test_a_key_that_does_not_decode_is_refused_and_raises_nothing():
    headers = {b"webhook-id": b"1", b"webhook-timestamp": b"1700000000", b"webhook-signature": b"v1,AAAA"}
    signed = request(headers, BODY)
    assert find_proof(standard_webhooks.SENDER.schemes, signed, (b"whsec_not base64!",), NOW) is None


@pytest.mark.parametrize("stamp", [b"", b"-1", b"1e9", "１７".encode(), b"9" * 40, b" 1700000000"])
def test_a_timestamp_that_is_no_number_is_refused(stamp: bytes):
    scheme = SCHEMES["header timestamp"]
    message = b"v0:" + stamp + b":" + BODY
    headers = {
        b"x-zm-signature": b"v0=" + hmac.new(SECRET, message, hashlib.sha256).hexdigest().encode(),
        b"x-zm-request-timestamp": stamp,
    }
    assert find_proof((scheme,), request(headers, BODY), (SECRET,), NOW) is None


def test_two_times_in_one_header_are_refused():
    scheme = SCHEMES["pairs"]
    value = sign(scheme, BODY, SECRET, NOW)[b"stripe-signature"] + b",t=1"
    assert find_proof((scheme,), request({b"stripe-signature": value}, BODY), (SECRET,), NOW) is None


@pytest.mark.parametrize("sender", [cloudevents.SENDER, generic_json.SENDER], ids=lambda sender: sender.kind)
def test_a_bearer_secret_must_be_exact(sender: Any):
    right = request({b"authorization": b"Bearer " + SECRET}, BODY)
    wrong = [b"Bearer " + SECRET[:-1], b"bearer " + SECRET, b"Bearer ", b"", SECRET]
    assert find_proof(sender.schemes, right, (b"other", SECRET), NOW) == SECRET
    assert [
        find_proof(sender.schemes, request({b"authorization": value}, BODY), (SECRET, b""), NOW) for value in wrong
    ] == [None] * len(wrong)


def test_basic_credentials_are_compared_encoded():
    scheme = SharedSecret(header=b"authorization", prefix=b"Basic ", is_basic=True)
    headers = {b"authorization": b"Basic " + base64.b64encode(b"user:pass")}
    assert find_proof((scheme,), request(headers, BODY), (b"user:pass",), NOW) == b"user:pass"


def test_an_unsigned_sender_needs_no_proof():
    assert find_proof(web_form.SENDER.schemes, request({}, BODY), (), NOW) == b""


def test_the_stand_in_for_unknown_sources_accepts_nothing_of_senders():
    headers = sign(SCHEMES["raw"], BODY, SECRET, NOW)
    assert find_proof(standard_webhooks.SENDER.schemes, request(headers, BODY), DUMMY_SECRETS, NOW) is None


@settings(max_examples=100, deadline=None)
@given(
    header=st.binary(max_size=80), stamp=st.binary(max_size=20), body=st.binary(max_size=40),
    name=st.sampled_from(sorted(SCHEMES)),
)  # fmt: skip
def test_no_header_whatever_raises_or_passes(header: bytes, stamp: bytes, body: bytes, name: str):
    scheme = SCHEMES[name]
    headers = {scheme.header: header}
    if scheme.timestamp is not None and scheme.timestamp.header is not None:
        headers[scheme.timestamp.header] = stamp
    assert find_proof((scheme,), request(headers, body), (SECRET,), NOW) is None
