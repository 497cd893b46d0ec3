"""Asynchronous clients from synchronous code."""

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def run_blocking(coroutine: Coroutine[object, object, T]) -> T:
    """Run *coroutine* to its end and return its result.

    In a thread of its own: the caller may itself be inside an event loop, and must find that loop untouched.
    """
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, coroutine).result()
