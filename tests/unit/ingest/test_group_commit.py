"""Requests that arrive together share a commit, and do not share each other's troubles."""

import asyncio
from collections.abc import Sequence

import pytest

from ingest.group_commit import GroupCommit, Overloaded


class Commits:
    """Records batches; holds them until released; refuses batches with a poisonous item."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.begun = asyncio.Event()
        self.released = asyncio.Event()
        self.error: Exception = ValueError()

    async def __call__(self, items: Sequence[str]) -> list[str]:
        self.batches.append(list(items))
        self.begun.set()
        await self.released.wait()
        if "poison" in items:
            raise self.error
        return [item.upper() for item in items]


def group(
    commits: Commits, most_items: int = 10, queue_items: int = 10, queue_bytes: int = 100, queue_seconds: float = 60
) -> GroupCommit[str, str]:
    return GroupCommit(
        commits,
        most_items=most_items,
        queue_items=queue_items,
        queue_bytes=queue_bytes,
        queue_seconds=queue_seconds,
    )


async def test_the_first_does_not_wait_and_the_rest_share_the_next_commit():
    commits = Commits()
    queue = group(commits)
    first = asyncio.create_task(queue.submit("a", 1))
    await commits.begun.wait()
    others = [asyncio.create_task(queue.submit(item, 1)) for item in "bcd"]
    await asyncio.sleep(0)
    commits.released.set()
    assert await asyncio.gather(first, *others) == ["A", "B", "C", "D"]
    assert commits.batches == [["a"], ["b", "c", "d"]]


async def test_one_that_cannot_be_committed_fails_alone():
    commits = Commits()
    commits.released.set()
    queue = group(commits)
    results = await asyncio.gather(*(queue.submit(item, 1) for item in ("a", "poison", "b")), return_exceptions=True)
    assert [str(result) for result in results] == ["A", "", "B"]
    assert isinstance(results[1], ValueError)


async def test_when_the_database_is_away_nobody_is_tried_alone():
    commits = Commits()
    commits.error = ConnectionRefusedError()
    commits.released.set()
    queue = group(commits)
    results = await asyncio.gather(*(queue.submit(item, 1) for item in ("a", "poison", "b")), return_exceptions=True)
    assert {type(result) for result in results} == {ConnectionRefusedError}
    assert len(commits.batches) == 1


@pytest.mark.parametrize(("queue_items", "queue_bytes"), [(2, 100), (100, 20)])
async def test_more_than_may_wait_is_refused_and_the_rest_is_committed(queue_items: int, queue_bytes: int):
    commits = Commits()
    queue = group(commits, queue_items=queue_items, queue_bytes=queue_bytes)
    waiting = [asyncio.create_task(queue.submit(item, 10)) for item in "ab"]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await queue.submit("c", 10)
    commits.released.set()
    assert await asyncio.gather(*waiting) == ["A", "B"]


async def test_behind_one_that_has_waited_too_long_nobody_else_may_wait():
    commits = Commits()
    queue = group(commits, most_items=1, queue_seconds=0.01)
    first, second = asyncio.create_task(queue.submit("a", 1)), asyncio.create_task(queue.submit("b", 1))
    await commits.begun.wait()
    await asyncio.sleep(0.02)
    with pytest.raises(Overloaded, match="age"):
        await queue.submit("c", 1)
    commits.released.set()
    assert [await first, await second] == ["A", "B"]
    assert await queue.submit("d", 1) == "D"


async def test_a_request_that_was_given_up_is_not_committed_late():
    commits = Commits()
    queue = group(commits, most_items=1)
    first, second = asyncio.create_task(queue.submit("a", 1)), asyncio.create_task(queue.submit("b", 1))
    await commits.begun.wait()
    second.cancel()
    await asyncio.sleep(0)
    commits.released.set()
    assert await first == "A"
    assert await queue.submit("c", 1) == "C"
    assert commits.batches == [["a"], ["c"]]
