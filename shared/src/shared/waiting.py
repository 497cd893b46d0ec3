"""Waiting for an event, but not for ever."""

import asyncio


async def until_set(event: asyncio.Event, seconds: float) -> bool:
    """Return whether *event* was set within *seconds*.

    Not `asyncio.wait_for`: in Python 3.11 it loses a cancellation that comes together with the event.
    """
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
