"""However many ask at once, the event loop goes round for everybody else."""

import asyncio

from shared.runtime.turns import Turns


async def test_those_who_ask_at_once_begin_in_their_order_and_so_many_per_pass():
    turns, begun, passes = Turns(per_pass=2), [], []

    async def one(number: int) -> None:
        await turns.take()
        begun.append(number)

    asking = [asyncio.create_task(one(number)) for number in range(7)]
    while len(begun) < len(asking):
        await asyncio.sleep(0)
        passes.append(len(begun))
    assert begun == list(range(7))
    assert max(after - before for before, after in zip([0, *passes], passes, strict=False)) == 2


async def test_alone_nobody_waits():
    turns = Turns(per_pass=1)
    taking = turns.take()
    try:
        taking.send(None)
    except StopIteration:
        return
    raise AssertionError("it waited")


async def test_who_gave_up_takes_no_turn():
    turns = Turns(per_pass=1)
    first, second, third = (asyncio.create_task(turns.take()) for _ in range(3))
    await asyncio.sleep(0)
    second.cancel()
    async with asyncio.timeout(5):
        await asyncio.gather(first, third)
