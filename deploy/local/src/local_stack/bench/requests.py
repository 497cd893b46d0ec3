"""The bytes of each request, made and signed before the clock starts."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from local_stack.bench.mix import Planned
from local_stack.load.people import Person, make_person
from local_stack.load.senders import SENDERS, Post, Signing, sign_hubspot, sign_typeform, sign_zoom
from local_stack.load.setup import submissions_path

ACCEPTED = 200
STATUS_OF_FLAW: Mapping[str, int] = {
    "wrong_signature": 401,
    "broken_json": 400,
    "unmappable": 200,
    "unknown_source": 404,
}


class Request(NamedTuple):
    """One request as it goes on the wire, and the only right status of its answer."""

    wire: bytes
    expected: int


def build_requests(
    planned: Sequence[Planned],
    stamps: Sequence[datetime],
    *,
    signing: Mapping[str, Signing],
    population: str,
    host: str,
) -> list[Request]:
    """Return a request for each of *planned*, signed at its own instant of *stamps*."""
    people: dict[int, Person] = {}
    requests: list[Request] = []
    for one, stamp in zip(planned, stamps, strict=True):
        if one.repeats is not None:
            requests.append(requests[one.repeats])
            continue
        person = people.get(one.person)
        if person is None:
            person = people[one.person] = make_person(one.person, population=population)
        post, path = _post_of(one, person, signing, stamp)
        expected = STATUS_OF_FLAW[one.flaw] if one.flaw else ACCEPTED
        requests.append(Request(_wire(path, host, post), expected))
    return requests


def _post_of(one: Planned, person: Person, signing: Mapping[str, Signing], stamp: datetime) -> tuple[Post, str]:
    secret = signing[one.sender]
    path = submissions_path(one.sender)
    match one.flaw:
        case None if one.nature == "activity":
            return _ACTIVITIES[one.sender](person, secret, stamp), path
        case "wrong_signature":
            return sign_zoom(b"{}", Signing("not the secret"), stamp), path
        case "broken_json":
            return sign_typeform(b'{"event_id": ', secret), path
        case "unmappable":
            return sign_hubspot(json.dumps([{"eventId": person.number}]).encode(), secret, stamp), path
        case "unknown_source":
            return SENDERS[one.sender](person, secret, stamp), "/v1/sources/nobody-knows-this-one/submissions"
        case _:
            post = SENDERS[one.sender](person, secret, stamp)
    if one.sender == "web_form":
        # A form has no delivery id: this is how a page keeps a double click from being two submissions.
        key = hashlib.sha256(f"{person.email}/{stamp.isoformat()}".encode()).hexdigest()[:32]
        post = Post({**post.headers, "idempotency-key": key}, post.body)
    return post, path


def _joined(person: Person, signing: Signing, stamp: datetime) -> Post:
    payload = {
        "event": "webinar.participant_joined",
        "event_ts": int(stamp.timestamp() * 1000),
        "payload": {
            "account_id": "AAAAAABBBB",
            "object": {
                "id": "1234567890",
                "uuid": "4444AAAiAAAAAiAiAiiAii==",
                "participant": {
                    "user_id": f"u{person.number}",
                    "user_name": f"{person.first_name} {person.last_name}",
                    "email": person.email,
                    "join_time": stamp.isoformat(),
                },
            },
        },
    }
    return sign_zoom(json.dumps(payload).encode(), signing, stamp)


def _visited(person: Person, signing: Signing, stamp: datetime) -> Post:
    payload = {
        "specversion": "1.0",
        "type": "com.example.activity.recorded",
        "source": "/bench",
        "id": hashlib.sha256(f"{person.email}/{stamp.isoformat()}".encode()).hexdigest()[:24],
        "time": stamp.isoformat(),
        "datacontenttype": "application/json",
        "data": {"email": person.email, "kind": "website_visit", "detail": {"page_group": "pricing"}},
    }
    headers = {"content-type": "application/cloudevents+json", "authorization": f"Bearer {signing.secret}"}
    return Post(headers, json.dumps(payload).encode())


_ACTIVITIES = {"zoom": _joined, "cloudevents": _visited}


def _wire(path: str, host: str, post: Post) -> bytes:
    lines = [f"POST {path} HTTP/1.1", f"host: {host}", f"content-length: {len(post.body)}"]
    lines.extend(f"{name}: {value}" for name, value in post.headers.items())
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + post.body


def stamps_for(due: Sequence[float], started_at: datetime) -> list[datetime]:
    """Return the instant at which each request's sender signs it: when it is due.

    What is due all at once is signed shortly before, a tenth of a millisecond apart: some senders tell two deliveries
    of one person apart by the millisecond, and the mix keeps those a hundred requests apart.
    """
    if due and due[-1] == 0.0:
        return [started_at - timedelta(milliseconds=(len(due) - index) / 10) for index in range(len(due))]
    return [started_at + timedelta(seconds=one) for one in due]
