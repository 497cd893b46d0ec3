"""Taking turns: so many requests begin in one pass of the event loop, the others in the next ones."""

import asyncio
from collections import deque

PER_PASS = 64


class Turns:
    """Gives out turns in the order in which they are asked for.

    A transaction goes on once per pass of the loop. When two thousand connections each have a request ready, a pass
    that answers them all takes most of a second, and a commit of eight steps takes longer than its requests may wait:
    nearly everything would be turned away, whatever the database can take (tests/e2e/test_overload.py).
    """

    def __init__(self, per_pass: int = PER_PASS) -> None:
        self._per_pass = per_pass
        self._left = per_pass
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._is_scheduled = False

    async def take(self) -> None:
        """Return at once if this pass has a turn left, else in one of the next."""
        self._schedule()
        if self._left and not self._waiting:
            self._left -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        await turn

    def _schedule(self) -> None:
        if not self._is_scheduled:
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self._begin_pass)

    def _begin_pass(self) -> None:
        self._is_scheduled = False
        self._left = self._per_pass
        while self._waiting and self._left:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                self._left -= 1
        if self._left < self._per_pass:
            self._schedule()
