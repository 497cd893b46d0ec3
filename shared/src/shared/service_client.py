"""A service's routes, as commands of ``leadrail`` call them."""

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import httpx
import msgspec

KEY_VARIABLE = "LEADRAIL_API_KEY"
PAGE = 200
CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 120.0  # a retry of a parked lead handles all its events in one transaction

S = TypeVar("S")


class Refusal(Exception):
    """The service answered, and did not do it. The message is the service's, for the person who asked."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class NoAnswer(Exception):
    """No service of ours answered. The message says what to look at."""


class ServiceClient:
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

    def call(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        """Return the JSON object that the service answers."""
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

    def items(self, path: str, query: Mapping[str, Any], kind: type[S]) -> Iterator[S]:
        """Yield the items of all pages of a list; *query* without what is None."""
        asked: dict[str, Any] = {"limit": PAGE, **{name: value for name, value in query.items() if value is not None}}
        while True:
            page = self.call("GET", path, params=asked)
            yield from converted(page["items"], list[kind])  # type: ignore[valid-type]
            if page["next_cursor"] is None:
                return
            asked["cursor"] = page["next_cursor"]


def converted(value: Any, kind: type[S]) -> S:
    """Return what was answered as a *kind*. Errors: `NoAnswer` if it is none."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise NoAnswer(f"The service is of another release: {error}") from error


def _refusal(status: int, problem: Mapping[str, Any]) -> Refusal:
    details = [problem.get("detail"), *(f"{one['pointer']} {one['detail']}" for one in problem.get("errors", ()))]
    message = ": ".join([str(problem.get("title", status)), *(str(detail) for detail in details if detail)])
    return Refusal(status, str(problem.get("type", "")).rpartition("/")[2], message)
