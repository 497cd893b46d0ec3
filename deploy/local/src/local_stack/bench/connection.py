"""One keep-alive HTTP/1.1 connection that carries one request at a time, as cheaply as Python can."""

import asyncio
from collections.abc import Callable
from typing import cast

NO_ANSWER = 0
_END_OF_HEAD = b"\r\n\r\n"
_LENGTH = b"content-length:"

OnAnswer = Callable[["Connection", int, int, bytes], None]
OnLost = Callable[["Connection", int | None], None]


class Connection(asyncio.Protocol):
    """Sends prebuilt requests. *on_answer* gets (connection, request index, status, body); *on_lost* the index that
    was waiting for its answer, if any."""

    __slots__ = ("_buffer", "_index", "_on_answer", "_on_lost", "_transport")

    def __init__(self, on_answer: OnAnswer, on_lost: OnLost) -> None:
        self._on_answer = on_answer
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._index: int | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        index, self._index = self._index, None
        self._transport = None
        self._on_lost(self, index)

    def send(self, index: int, wire: bytes) -> None:
        """Send a request. The one before must have been answered."""
        assert self._transport is not None
        self._index = index
        self._transport.write(wire)

    def close(self) -> None:
        """Close it."""
        if self._transport is not None:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._buffer = data if not self._buffer else self._buffer + data
        answer = split_answer(self._buffer)
        if answer is None or self._index is None:
            return
        status, body, must_close = answer
        self._buffer = b""
        index, self._index = self._index, None
        self._on_answer(self, index, status, body)
        if must_close:
            self.close()


def split_answer(data: bytes) -> tuple[int, bytes, bool] | None:
    """Return (status, body, whether the server closes); None while some of it is missing.

    Only what the services send: a content-length and no chunks. Errors: ValueError for anything else.
    """
    end = data.find(_END_OF_HEAD)
    if end < 0:
        return None
    head = data[:end].lower()
    at = head.find(_LENGTH)
    if at < 0:
        raise ValueError("an answer without content-length")
    line_end = head.find(b"\r\n", at)
    length = int(head[at + len(_LENGTH) : line_end if line_end >= 0 else end])
    body = data[end + 4 : end + 4 + length]
    if len(body) < length:
        return None
    return int(data[9:12]), body, b"\r\nconnection: close" in head
