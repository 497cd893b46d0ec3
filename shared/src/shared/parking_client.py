"""A service's parking routes, as the ``leadrail parked`` command calls them."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Literal, TypeVar
from urllib.parse import quote

import httpx
import msgspec

PAGE = 200
CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 120.0  # a retry handles all the events of its lead in one transaction

S = TypeVar("S")


class Parked(msgspec.Struct, frozen=True):
    """One event that waits for a person."""

    consumer: str
    lead_id: str
    event_id: str
    type: str
    topic: str
    partition: int
    offset: int
    error: str
    parked_at: datetime


class Remaining(msgspec.Struct, frozen=True):
    """How many events a call took out of the lot, and how many of the lead still wait."""

    released: int
    remaining: int


class Refusal(Exception):
    """The service answered, and did not do it. The message is the service's, for the person who asked."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class NoAnswer(Exception):
    """No service of ours answered. The message says what to look at."""


class ParkingClient:
    """Calls one service with one API key. Every method's errors: `Refusal`, `NoAnswer`."""

    def __init__(self, url: str, api_key: str) -> None:
        self.url = url
        self._http = httpx.Client(
            base_url=url,
            headers={"authorization": f"Bearer {api_key}"},
            timeout=httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS),
            # The services are inside: a proxy in the environment is for what is outside.
            trust_env=False,
        )

    def close(self) -> None:
        """Give the connection back."""
        self._http.close()

    def list_events(self, *, consumer: str | None = None, lead_id: str | None = None) -> Iterator[Parked]:
        """Yield what is parked, oldest first."""
        wanted = {"consumer": consumer, "lead_id": lead_id}
        query: dict[str, Any] = {"limit": PAGE, **{name: value for name, value in wanted.items() if value is not None}}
        while True:
            page = self._call("GET", "/v1/parking", params=query)
            yield from _converted(page["items"], list[Parked])
            if page["next_cursor"] is None:
                return
            query["cursor"] = page["next_cursor"]

    def retry(self, consumer: str, lead_id: str) -> Remaining:
        """Handle the lead's parked events again, all or none."""
        return _converted(self._call("POST", self._path(consumer, lead_id, "retry")), Remaining)

    def skip(self, consumer: str, lead_id: str, why: str) -> Remaining:
        """Give up the lead's first parked event."""
        return _converted(self._call("POST", self._path(consumer, lead_id, "skip"), json={"why": why}), Remaining)

    def _path(self, consumer: str, lead_id: str, verb: Literal["retry", "skip"]) -> str:
        return f"/v1/parking/{quote(consumer, safe='')}/{quote(lead_id, safe='')}/{verb}"

    def _call(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        try:
            answer = self._http.request(method, path, **options)
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise NoAnswer(f"{self.url} does not answer: {type(error).__name__}") from error
        try:
            body = msgspec.json.decode(answer.content, type=dict[str, Any])
        except msgspec.MsgspecError as error:
            raise NoAnswer(f"{self.url} answers {answer.status_code}, and not as a Leadrail service would") from error
        if not answer.is_success:
            raise _refusal(answer.status_code, body)
        return body


def _converted(value: Any, kind: type[S]) -> S:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise NoAnswer(f"The service is of another release: {error}") from error


def _refusal(status: int, problem: Mapping[str, Any]) -> Refusal:
    details = [problem.get("detail"), *(f"{one['pointer']} {one['detail']}" for one in problem.get("errors", ()))]
    message = ": ".join([str(problem.get("title", status)), *(str(detail) for detail in details if detail)])
    return Refusal(status, str(problem.get("type", "")).rpartition("/")[2], message)
