"""The generator as a process, against a door that is only a stub."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager

import msgspec
from aiohttp import web

from local_stack.bench.generator import Plan, Row, Summary, read_rows
from local_stack.bench.processes import helper
from local_stack.load.senders import KINDS, WEBHOOKS_SECRET

Handler = Callable[[web.Request], Coroutine[None, None, web.StreamResponse]]
SIGNING = {kind: (WEBHOOKS_SECRET if kind == "standard_webhooks" else "s3cret", "https://x.test/") for kind in KINDS}


@asynccontextmanager
async def stub_door(handler: Handler) -> AsyncIterator[int]:
    app = web.Application()
    app.add_routes([web.post("/v1/sources/{key}/submissions", handler)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def accept(request: web.Request) -> web.Response:
    await request.read()
    return web.json_response({"submission_id": "s", "records": []})


async def generate(tmp_path, handler: Handler, **changes) -> tuple[Summary, list[Row]]:
    out = tmp_path / "requests.ndjson"
    async with stub_door(handler) as port:
        plan = Plan(
            host="127.0.0.1", port=port, count=changes.pop("count", 300), rate=changes.pop("rate", 0.0),
            connections=changes.pop("connections", 8), seed=1, population="t", signing=SIGNING, out=str(out), **changes,
        )  # fmt: skip
        async with helper("local_stack.bench.generator") as generator:
            await generator.tell(msgspec.json.encode(plan))
            assert await generator.hear() == "ready"
            await generator.tell(b"go")
            summary = msgspec.json.decode(await generator.hear(), type=Summary)
            await generator.tell(b"write")
            assert await generator.hear() == "written"
    return summary, read_rows(out)


async def test_every_request_is_sent_once_and_written_with_its_answer(tmp_path) -> None:
    summary, rows = await generate(tmp_path, accept)
    assert [row.index for row in rows] == list(range(300))
    assert summary.answers == {"200": 300}
    assert all(row.due <= row.sent <= row.done for row in rows)
    assert msgspec.json.decode(rows[0].answer) == {"submission_id": "s", "records": []}


async def test_no_more_connections_are_used_than_allowed(tmp_path) -> None:
    peers: set[object] = set()

    async def remember(request: web.Request) -> web.Response:
        assert request.transport is not None
        peers.add(request.transport.get_extra_info("peername"))
        return await accept(request)

    await generate(tmp_path, remember, connections=3)
    assert len(peers) == 3


async def test_stall_of_the_server_is_counted_from_when_each_request_was_due(tmp_path) -> None:
    arrived = 0
    go_on = asyncio.Event()

    async def stall(request: web.Request) -> web.Response:
        nonlocal arrived
        arrived += 1
        if arrived == 1:
            # One connection, held: whoever is due meanwhile waits, and its wait must not be forgiven.
            asyncio.get_running_loop().call_later(0.3, go_on.set)
            await go_on.wait()
        return await accept(request)

    _, rows = await generate(tmp_path, stall, connections=1, count=50, rate=500.0)
    late = [row for row in rows if row.due < rows[0].done]
    assert len(late) > 1
    assert all(row.done >= rows[0].done for row in late)
    assert all(row.done - row.due >= rows[0].done - row.due for row in late)


async def test_refusals_are_told_from_what_was_expected(tmp_path) -> None:
    async def refuse(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(status=503, body=b"")

    summary, rows = await generate(tmp_path, refuse)
    assert summary.answers == {"503": 300}
    assert summary.unexpected == 300
    assert all(bytes(row.answer) == b"null" for row in rows)


async def test_connection_that_breaks_costs_its_own_request_only(tmp_path) -> None:
    seen: Counter[str] = Counter()

    async def break_once(request: web.Request) -> web.Response:
        seen["requests"] += 1
        if seen["requests"] == 20:
            assert request.transport is not None
            request.transport.abort()
        return await accept(request)

    summary, _ = await generate(tmp_path, break_once, connections=2)
    assert summary.answers == {"200": 299, "0": 1}
    assert summary.unexpected >= 1
