"""The door: read → verify → parse → map → commit → answer. A plain ASGI route: nothing between it and the server."""

import asyncio
import hashlib
import logging
from datetime import datetime
from typing import Any

import msgspec
import structlog
from starlette.types import Receive, Scope, Send

from ingest import metrics
from ingest.capture import Capture
from ingest.delivery_body import parse_body
from ingest.domain.arrival import Arrival, Outcome, Result
from ingest.domain.records import Answer, Record, UnmappableRecord
from ingest.domain.refusal import RefusedBody
from ingest.domain.senders.registry import SENDERS, STAND_IN
from ingest.domain.senders.sender import Sender
from ingest.domain.source import Inbound, Source
from ingest.domain.verification import DUMMY_SECRETS, Headers, SignedRequest, find_proof
from ingest.group_commit import GroupCommit, Overloaded
from ingest.handshakes import HandshakeBudget
from ingest.repository import IngestRepository
from ingest.settings import IngestSettings
from ingest.sources import SourceDirectory
from shared import failpoints
from shared.http import Problem
from shared.ids import new_id
from shared.logs import stack_of
from shared.runtime import Runtime
from shared.runtime.failures import is_dependency_failure
from shared.runtime.metrics import HTTP_SHED

log = structlog.get_logger(module=__name__)
logging.getLogger("python_multipart").setLevel(logging.ERROR)  # it warns once per broken body: the sender's to say

_MAX_IDEMPOTENCY_KEY = 200
_KEPT_HEADERS = (
    b"content-type", b"user-agent", b"referer", b"origin", b"sec-gpc", b"accept-language", b"webhook-id", b"svix-id",
    b"ce-specversion", b"ce-type", b"ce-source", b"ce-id", b"ce-time", b"ce-subject",
)  # fmt: skip
"""Kept with the raw body: what a mapping may need to map again. Never Authorization, cookies or signatures."""


class Receipt(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The answer to an accepted delivery."""

    submission_id: str
    duplicate: bool = False
    records: tuple[Result, ...] = ()


class Door:
    """``/v1/sources/{key}/submissions``."""

    def __init__(self, runtime: Runtime[IngestRepository], sources: SourceDirectory, capture: Capture) -> None:
        settings = runtime.settings
        assert isinstance(settings, IngestSettings)
        self._runtime = runtime
        self._settings = settings
        self._sources = sources
        self._capture = capture
        self._handshakes = HandshakeBudget()
        self._commits: GroupCommit[Arrival, Outcome] = GroupCommit(
            capture.keep,
            most_items=settings.commit_batch,
            queue_items=settings.queue_requests,
            queue_bytes=settings.queue_bytes,
            queue_seconds=settings.queue_seconds,
        )
        self._unqueued_bytes = 0  # of bodies that are being read

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Errors: `Problem`, which the application turns into a document."""
        headers: Headers = dict(scope["headers"])
        source = await self._sources.find(scope["path_params"]["key"])
        sender = SENDERS.get(source.kind, STAND_IN) if source is not None else STAND_IN
        match scope["method"]:
            case "POST":
                answer = await self._take(scope, receive, headers, source, sender)
            case "OPTIONS" if source is not None:
                answer = _answer_options(sender, source, headers)
            case "GET" if source is not None and sender.answer_get is not None:
                answer = sender.answer_get(source, headers) or Answer(status=400)
            case _ if source is None:
                raise _unknown_source()
            case _:
                raise Problem(405, "method_not_allowed", "This method is not allowed here", headers={"Allow": "POST"})
        await _send(send, answer)

    async def submit(self, arrival: Arrival) -> Outcome:
        """Return the outcome once it is durable. Errors: `Problem` 503."""
        try:
            async with asyncio.timeout(self._settings.answer_seconds):
                return await self._commits.submit(arrival, len(arrival.body))
        except Overloaded as error:
            raise _overloaded(error.limit) from None
        except Exception as error:
            if is_dependency_failure(error):
                raise _later("storage_away", "The submission cannot be kept now") from error
            raise

    async def _take(
        self, scope: Scope, receive: Receive, headers: Headers, source: Source | None, sender: Sender
    ) -> Answer:
        received_at = self._runtime.clock.now()
        kind = source.kind if source is not None else "unknown"
        try:
            self._check_room()  # first: whoever is turned away must cost next to nothing
            body = await self._read(receive, headers, sender.max_body)
            source, proof = self._authenticate(scope, headers, body, source, sender, received_at)
            inbound, records, answer = self._understand(source, sender, headers, body, proof, received_at)
            failpoints.reach("door_verified")
            arrival = self._arrival(inbound, records, scope, body)
            del inbound  # the parsed body is several times as large as the raw one: it must not wait beside it
            outcome = await self._keep(arrival)
        except Problem as problem:
            metrics.REJECTS.labels(problem.code).inc()
            metrics.SUBMISSIONS.labels(kind, "rejected").inc()
            problem.headers.update(_cors(source, headers))  # without it a browser hides the answer, and Retry-After
            raise
        metrics.SUBMISSIONS.labels(kind, outcome.verdict).inc()
        return answer or _receipt(outcome, sender, _cors(source, headers))

    async def _keep(self, arrival: Arrival) -> Outcome:
        outcome = await self.submit(arrival)
        # A 2xx only from here on: before COMMIT returned, a crash would lose a submission nobody will repeat.
        if outcome.verdict == "conflict":
            raise Problem(422, "idempotency_conflict", "This Idempotency-Key was used with another body")
        return outcome

    def _check_room(self) -> None:
        """Return if what is being read may be taken in. Errors: `Problem` 503."""
        try:
            self._commits.check_room(self._unqueued_bytes)
        except Overloaded as error:
            raise _overloaded(error.limit) from None
        if self._runtime.relay.is_above(self._settings.outbox_bytes):
            raise _overloaded("outbox")

    async def _read(self, receive: Receive, headers: Headers, limit: int) -> bytes:
        """Return the body. Errors: `Problem` 408, 413, 415."""
        if headers.get(b"content-encoding", b"identity").lower() not in {b"identity", b""}:
            raise Problem(415, "compressed_body", "Compressed bodies are not accepted")
        announced = headers.get(b"content-length", b"0")
        if not announced.isdigit() or len(announced) > 15 or int(announced) > limit:
            raise _too_large(limit)
        chunks: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self._settings.body_seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise Problem(400, "body_incomplete", "The body ended early")
                    chunk = message.get("body", b"")
                    size += len(chunk)
                    self._unqueued_bytes += len(chunk)
                    if size > limit:
                        raise _too_large(limit)
                    self._check_room()
                    chunks.append(chunk)
                    if not message.get("more_body", False):
                        return chunks[0] if len(chunks) == 1 else b"".join(chunks)
        except TimeoutError:
            raise Problem(408, "body_too_slow", "The body took too long", headers={"Connection": "close"}) from None
        finally:
            self._unqueued_bytes -= size  # nothing waits from here to the queue, which counts for itself

    def _authenticate(
        self, scope: Scope, headers: Headers, body: bytes, source: Source | None, sender: Sender, now: datetime
    ) -> tuple[Source, bytes]:
        """Return the source and the secret that proves it. Errors: `Problem` 401, 403, 404, 503."""
        request = SignedRequest(scope["method"], self._url(scope), headers, body)
        proof = find_proof(sender.schemes, request, source.secrets if source else DUMMY_SECRETS, now)
        if source is None:  # only now: an unknown key takes as long to refuse as a wrong signature
            raise _unknown_source()
        if source.is_suspended:  # not 404: some senders give a webhook up for ever on it
            raise _later("source_suspended", "This source is suspended", seconds=300)
        if sender.has_public_callers and not _is_allowed_origin(source, headers):
            raise Problem(403, "origin_not_allowed", "This site may not post here")
        if proof is None:
            log.info("signature_refused", source_kind=source.kind, body_sha256=hashlib.sha256(body).hexdigest())
            raise Problem(401, "unauthorized", "This delivery cannot be accepted")
        return source, proof

    def _understand(
        self, source: Source, sender: Sender, headers: Headers, body: bytes, proof: bytes, received_at: datetime
    ) -> tuple[Inbound, tuple[Record, ...], Answer | None]:
        """Return the delivery, its records and the sender's own kind of answer. Errors: `Problem` 4xx."""
        try:
            payload, is_form = parse_body(sender, headers, body)
            inbound = Inbound(
                payload=payload, source=source, received_at=received_at, headers=headers, proof=proof, is_form=is_form
            )
            records = map_safely(sender, inbound)
            answer = sender.answer(inbound) if sender.answer is not None else None
        except RefusedBody as refused:
            raise problem_of(refused) from None
        if answer is not None and not self._handshakes.spend(source.key, received_at):
            raise _later("too_many_handshakes", "Too many handshakes", seconds=60)
        return inbound, records, answer

    def _arrival(self, inbound: Inbound, records: tuple[Record, ...], scope: Scope, body: bytes) -> Arrival:
        headers = inbound.headers
        key = headers.get(b"idempotency-key")
        return Arrival(
            submission_id=new_id(),
            source_key=inbound.source.key,
            source_kind=inbound.source.kind,
            received_at=inbound.received_at,
            records=tuple(self._capture.number(ordinal, record) for ordinal, record in enumerate(records)),
            body=body,
            headers=kept_headers(headers),
            idempotency_key=idempotency_key_of(key) if key is not None else None,
            fingerprint=hashlib.sha256(body).digest() if key is not None else b"",
            has_gpc=headers.get(b"sec-gpc") == b"1",
            traceparent=scope.get("leadrail.traceparent", ""),
        )

    def _url(self, scope: Scope) -> str:
        path: bytes = scope.get("raw_path") or scope["path"].encode()
        query: bytes = scope["query_string"]
        return self._settings.public_url + (path + b"?" + query if query else path).decode("latin-1")


def map_safely(sender: Sender, inbound: Inbound) -> tuple[Record, ...]:
    """Return what *inbound* holds. A mapping that fails is our bug: the delivery is kept and a person looks at it."""
    try:
        return sender.map_delivery(inbound) or (UnmappableRecord(reason="empty"),)
    except RefusedBody:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, the delivery must not be lost for it
        log.error(  # noqa: TRY400 - not the message: it may quote personal data
            "mapping_failed", source_kind=sender.kind, stack=stack_of(error)
        )
        return (UnmappableRecord(reason="mapping_failed"),)


def idempotency_key_of(value: bytes) -> str:
    """Return the key to remember. Errors: `Problem` 422."""
    if not 1 <= len(value) <= _MAX_IDEMPOTENCY_KEY or not value.isascii() or not value.decode().isprintable():
        raise Problem(422, "invalid_idempotency_key", "Idempotency-Key must be 1 to 200 printable ASCII characters")
    return "idempotency:" + value.decode()


def kept_headers(headers: Headers) -> str:
    """Return the allow-listed headers as a JSON object."""
    kept = {name.decode(): headers[name].decode("latin-1")[:2_000] for name in _KEPT_HEADERS if name in headers}
    return _ENCODER.encode(kept).decode().replace("\\u0000", "")


def problem_of(refused: RefusedBody) -> Problem:
    """Return the problem document of a refused body, each place named by JSON pointer."""
    return Problem(
        refused.status,
        refused.code,
        "The body cannot be accepted",
        errors=[{"pointer": refusal.pointer, "detail": refusal.detail} for refusal in refused.refusals],
    )


def _is_allowed_origin(source: Source, headers: Headers) -> bool:
    """Tell whether the Origin is listed. Without one (no browser), only a source that lists none takes it."""
    origin = headers.get(b"origin")
    return not source.allowed_origins if origin is None else origin.decode("latin-1") in source.allowed_origins


def _cors(source: Source | None, headers: Headers) -> dict[str, str]:
    origin = headers.get(b"origin", b"").decode("latin-1")
    if source is None or origin not in source.allowed_origins:
        return {}
    return {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}


def _answer_options(sender: Sender, source: Source, headers: Headers) -> Answer:
    if sender.answer_options is not None:
        answer = sender.answer_options(source, headers)
        if answer is not None:
            return answer
    allow = _cors(source, headers) if sender.has_public_callers else {}
    if allow:
        allow["Access-Control-Allow-Methods"] = "POST"
        allow["Access-Control-Allow-Headers"] = "Content-Type, Idempotency-Key"
        allow["Access-Control-Max-Age"] = "600"
    return Answer(status=204, body=b"", headers=(("Allow", "POST"), *allow.items()))


def _receipt(outcome: Outcome, sender: Sender, cors: dict[str, str]) -> Answer:
    results = outcome.results
    if sender.has_public_callers:  # a stranger must not learn whether two addresses are one person to us
        results = tuple(Result(record_id=result.record_id, nature="lead") for result in results)
    receipt = Receipt(submission_id=outcome.submission_id, duplicate=outcome.verdict == "duplicate", records=results)
    return Answer(body=_ENCODER.encode(receipt), headers=tuple(cors.items()))


_ENCODER = msgspec.json.Encoder()


def _too_large(limit: int) -> Problem:
    return Problem(
        413, "body_too_large", "The body is too large", errors=[{"pointer": "", "detail": f"more than {limit} bytes"}]
    )


def _unknown_source() -> Problem:
    return Problem(404, "source_not_found", "No such source")


def _overloaded(limit: str) -> Problem:
    HTTP_SHED.labels(limit).inc()
    return _later("overloaded", "Too much waits already")


def _later(code: str, title: str, *, seconds: int = 1) -> Problem:
    return Problem(503, code, title, headers={"Retry-After": str(seconds)})


async def _send(send: Send, answer: Answer) -> None:
    headers: list[tuple[bytes, bytes]] = [(b"content-length", str(len(answer.body)).encode())]
    if answer.body:
        headers.append((b"content-type", answer.content_type.encode()))
    headers.extend((name.lower().encode(), value.encode("latin-1")) for name, value in answer.headers)
    start: dict[str, Any] = {"type": "http.response.start", "status": answer.status, "headers": headers}
    await send(start)
    await send({"type": "http.response.body", "body": answer.body})
