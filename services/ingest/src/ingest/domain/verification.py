"""One verifier for every sender: how a sender signs is data, the check is written once.

Everything is judged on the raw bytes, before parsing. What cannot be judged (no secret, an unreadable timestamp, a key
that does not decode) is rejected: a verifier that fails open is worse than none.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal, assert_never

import msgspec

Headers = Mapping[bytes, bytes]
"""Request headers, names in lower case."""


class SignedRequest(msgspec.Struct, frozen=True):
    """What a sender may have signed. ``url`` is the public URL from configuration: Host is the caller's to choose."""

    method: str
    url: str
    headers: Headers
    body: bytes


class Timestamp(msgspec.Struct, frozen=True, kw_only=True):
    """Where the signing time is and how far it may be from ours, in both directions.

    ``header`` None: the time is the ``t=`` item of the signature header.
    """

    header: bytes | None = None
    unit: Literal["s", "ms"] = "s"
    tolerance: timedelta = timedelta(seconds=300)


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    """A MAC (or, with ``is_keyed`` false, a plain digest) over ``template``.

    template: text with ``{body}``, ``{timestamp}``, ``{id}``, ``{method}``, ``{url}``, ``{secret}``.
    parse: ``raw`` the header is the signature; ``prefix`` after ``label``; ``pairs`` every ``label=`` item of a
    comma-separated list; ``list`` every item of a space-separated list that starts with ``label``.
    key: ``utf8`` the secret's bytes; ``base64`` decoded after ``key_prefix``.
    when: header and value that must be present for this scheme to apply.
    """

    header: bytes
    template: str = "{body}"
    parse: Literal["raw", "prefix", "pairs", "list"] = "raw"
    label: bytes = b""
    algorithm: Literal["sha256", "sha1"] = "sha256"
    is_keyed: bool = True
    encoding: Literal["hex", "base64"] = "hex"
    key: Literal["utf8", "base64"] = "utf8"
    key_prefix: bytes = b""
    timestamp: Timestamp | None = None
    id_header: bytes | None = None
    when: tuple[bytes, bytes] | None = None


class SharedSecret(msgspec.Struct, frozen=True, kw_only=True):
    """The secret itself in a header, after ``prefix``. ``is_basic``: it is ``user:password``, sent in base64."""

    header: bytes
    prefix: bytes = b""
    is_basic: bool = False


class Unsigned(msgspec.Struct, frozen=True):
    """The sender proves nothing; the door has other guards (site key, Origin allow-list, honeypot)."""


Scheme = Signature | SharedSecret | Unsigned

DUMMY_SECRETS: tuple[bytes, ...] = (b"whsec_ZHVtbXkga2V5IGZvciBhbiB1bmtub3duIHNvdXJjZQ==",)
"""What an unknown source is verified with, so that its answer takes as long as a wrong signature's."""

_MAX_SIGNATURES = 8  # items of one header that are compared; more is not a sender
_MAX_HEADER = 4_096
_TEMPLATE_FIELD = re.compile(r"\{(body|timestamp|id|method|url|secret)\}")


def find_proof(
    schemes: Sequence[Scheme], request: SignedRequest, secrets: Sequence[bytes], now: datetime
) -> bytes | None:
    """Return the one of *secrets* that *request* was made with (empty for an unsigned scheme), or None; never why.

    The first scheme whose header is present decides, so that a weaker scheme is no way around a stronger one.
    """
    try:
        scheme = _applicable(schemes, request.headers)
        match scheme:
            case Unsigned():
                return b""
            case SharedSecret():
                return _shared_secret(scheme, request.headers, secrets)
            case Signature():
                return _signature(scheme, request, secrets, now)
            case _:
                assert_never(scheme)
    except Exception:  # noqa: BLE001 - whatever goes wrong while judging, the answer is no
        return None


def _applicable(schemes: Sequence[Scheme], headers: Headers) -> Scheme:
    for scheme in schemes:
        match scheme:
            case Unsigned():
                return scheme
            case SharedSecret():
                if scheme.header in headers:
                    return scheme
            case Signature():
                if scheme.header in headers and (scheme.when is None or headers.get(scheme.when[0]) == scheme.when[1]):
                    return scheme
            case _:
                assert_never(scheme)
    return schemes[0]


def _shared_secret(scheme: SharedSecret, headers: Headers, secrets: Sequence[bytes]) -> bytes | None:
    presented = headers.get(scheme.header, b"")
    proof: bytes | None = None
    for secret in secrets:  # all of them, whichever matches: the time must not tell which
        expected = scheme.prefix + (base64.b64encode(secret) if scheme.is_basic else secret)
        if hmac.compare_digest(expected, presented) and secret:
            proof = secret
    return proof


def _signature(scheme: Signature, request: SignedRequest, secrets: Sequence[bytes], now: datetime) -> bytes | None:
    header = request.headers.get(scheme.header, b"")
    if len(header) > _MAX_HEADER:
        return None
    presented = list(_signatures_in(scheme, header))[:_MAX_SIGNATURES]
    timestamp = b""
    is_fresh = True
    if scheme.timestamp is not None:
        timestamp = _timestamp_of(scheme.timestamp, header, request.headers)
        is_fresh = _is_fresh(scheme.timestamp, timestamp, now)
    proof: bytes | None = None
    for secret in secrets:
        expected = _sign(scheme, request, secret, timestamp)
        for candidate in presented:
            if hmac.compare_digest(expected, candidate):
                proof = secret
    return proof if is_fresh else None


def _signatures_in(scheme: Signature, header: bytes) -> Iterator[bytes]:
    match scheme.parse:
        case "raw":
            yield header
        case "prefix":
            if header.startswith(scheme.label):
                yield header[len(scheme.label) :]
        case "pairs":
            for item in header.split(b","):
                name, _, value = item.strip().partition(b"=")
                if name == scheme.label:
                    yield value
        case "list":
            for item in header.split(b" "):
                if item.startswith(scheme.label):
                    yield item[len(scheme.label) :]
        case _:
            assert_never(scheme.parse)


def _timestamp_of(timestamp: Timestamp, header: bytes, headers: Headers) -> bytes:
    if timestamp.header is not None:
        return headers.get(timestamp.header, b"")
    times = [item.strip()[2:] for item in header.split(b",") if item.strip().startswith(b"t=")]
    return times[0] if len(times) == 1 else b""


def _is_fresh(timestamp: Timestamp, text: bytes, now: datetime) -> bool:
    if not text.isdigit() or len(text) > 16:
        return False
    seconds = int(text) / (1_000 if timestamp.unit == "ms" else 1)
    return abs(now.timestamp() - seconds) <= timestamp.tolerance.total_seconds()


def _sign(scheme: Signature, request: SignedRequest, secret: bytes, timestamp: bytes) -> bytes:
    if not secret:
        raise ValueError("no secret")
    values = {
        "body": request.body,
        "timestamp": timestamp,
        "id": request.headers.get(scheme.id_header, b"") if scheme.id_header else b"",
        "method": request.method.encode(),
        "url": request.url.encode(),
        "secret": secret,
    }
    message = b"".join(values[part] if is_field else part.encode() for part, is_field in _parts_of(scheme.template))
    if scheme.is_keyed:
        digest = hmac.digest(_key_of(scheme, secret), message, scheme.algorithm)
    else:
        digest = hashlib.new(scheme.algorithm, message).digest()
    return digest.hex().encode() if scheme.encoding == "hex" else base64.b64encode(digest)


def _key_of(scheme: Signature, secret: bytes) -> bytes:
    if scheme.key == "utf8":
        return secret
    return base64.b64decode(secret.removeprefix(scheme.key_prefix), validate=True)


_PARTS_BY_TEMPLATE: dict[str, tuple[tuple[str, bool], ...]] = {}


def _parts_of(template: str) -> tuple[tuple[str, bool], ...]:
    """Return literal texts and field names of *template*; the few templates there are split once."""
    parts = _PARTS_BY_TEMPLATE.get(template)
    if parts is None:
        split = _TEMPLATE_FIELD.split(template)
        parts = tuple((part, index % 2 == 1) for index, part in enumerate(split) if part)
        _PARTS_BY_TEMPLATE[template] = parts
    return parts
