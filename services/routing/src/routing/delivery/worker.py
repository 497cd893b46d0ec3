"""The delivery worker: claims due callbacks, sends them, records what came of it.

At least once: a crash after a POST and before its recording sends the same body with the same ``webhook-id`` again
when the lease ends; receivers drop the twin by that id. No database connection is held while an endpoint answers.
"""

import asyncio
import contextlib
from collections import Counter
from datetime import datetime, timedelta
from typing import Any, get_args

import structlog

from routing import metrics
from routing.delivery.client import AiohttpClient, CallbackClient, Outcome, Reply
from routing.delivery.lane import Claimed, Lane
from routing.delivery.recorder import Recorder
from routing.delivery.schedule import next_due
from routing.delivery.signing import sign
from routing.delivery.store import NOTIFY_CHANNEL, DeliveryStore, Result
from routing.delivery.target import AllowList
from routing.settings import RoutingSettings
from shared import failpoints
from shared.logs import stack_of
from shared.runtime import Runtime
from shared.runtime.failures import is_dependency_failure
from shared.waiting import until_set

log = structlog.get_logger(module=__name__)

LONGEST_SLEEP = 1.0  # other processes' rows and changed endpoints are seen this late at the latest, should NOTIFY fail
PACE = 0.01  # between claims under load: larger claims, a third of the SQL
SHORTEST_SLEEP = 0.005  # a due row that another worker holds must not make us spin
GAUGES_EVERY = 10.0  # counting a million pending rows takes 0.1 s
STALE = timedelta(seconds=1)
"""A callback that waited in memory for longer is given back: a withdrawal cancels rows, not what a worker holds."""


_ATTEMPTS = {outcome: metrics.CALLBACK_ATTEMPTS.labels(outcome) for outcome in get_args(Outcome)}


class DeliveryWorker:
    """One per process. ``client`` is replaced in tests; by default aiohttp."""

    def __init__(self, runtime: Runtime[Any], client: CallbackClient | None = None) -> None:
        settings = runtime.settings
        assert isinstance(settings, RoutingSettings)
        self._runtime = runtime
        self._settings = settings
        self._client = client
        self._lease = timedelta(seconds=settings.callback_lease_seconds)
        self._lanes: dict[str, Lane] = {}
        self._recorder = Recorder(runtime, self._look_again)
        self._runners: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._is_stopping = False
        self._refreshed_at = float("-inf")
        self._measured_at = float("-inf")
        self._next_due: datetime | None = None
        """When the next callback is due, if known: new ones wake us, so it only has to be asked for once it passed."""

    def wake(self) -> None:
        """Look for due callbacks now."""
        self._wake.set()

    def _look_again(self) -> None:
        self._next_due = None
        self.wake()

    async def run(self) -> None:
        """Deliver until `drain`."""
        self._client = self._client or AiohttpClient(
            AllowList.parse(self._settings.allowed_private_targets),
            self._runtime.clock,
            timeout_seconds=self._settings.callback_timeout_seconds,
            connections=self._settings.callback_concurrency,
        )
        recording = asyncio.create_task(self._recorder.run(), name="CallbackRecorder")
        listening = asyncio.create_task(self._listen(), name="CallbackListener")
        try:
            while not self._is_stopping:
                await self._step()
                for helper in (recording, listening):
                    if helper.done():
                        helper.result()  # a bug there must stop us, not leave us sending what is never recorded
            await self._finish()
        finally:
            self._recorder.stop()
            await asyncio.gather(recording, return_exceptions=True)
            listening.cancel()
            for runner in self._runners:
                runner.cancel()
            await asyncio.gather(listening, *self._runners, return_exceptions=True)
            await self._client.close()

    async def drain(self) -> None:
        """Claim nothing more; finish what is on its way, give the rest back, and let `run` return."""
        self._is_stopping = True
        self.wake()

    async def _step(self) -> None:
        self._wake.clear()
        try:
            claimed = await self._claim()
            seconds = PACE if claimed > 1 else await self._seconds_to_next()
        except Exception as error:
            if not is_dependency_failure(error):
                raise
            log.warning("callbacks_wait", error=type(error).__name__)
            seconds, self._refreshed_at = LONGEST_SLEEP, float("-inf")
            claimed = 2
        if claimed > 1:
            await asyncio.sleep(seconds)
            return
        if not await until_set(self._wake, seconds):
            self._next_due = None

    async def _claim(self) -> int:
        await self._refresh_lanes()
        now = self._runtime.clock.now()
        busy = self._recorder.backlog + sum(lane.in_flight for lane in self._lanes.values())
        room = self._settings.callback_concurrency * 4 - busy
        wanted = {key: lane.wants(now) for key, lane in self._lanes.items()}
        wanted = {key: most for key, most in wanted.items() if most > 0}
        for key, lane in self._lanes.items():
            lane.has_more = room <= 0 or key not in wanted  # not looked at: for all we know there is more
        if not wanted or room <= 0:
            return 0
        async with self._runtime.database.connection() as sql:
            claimed = await DeliveryStore(sql).claim_due(wanted, now, now + self._lease)
        if claimed:
            failpoints.reach("callback_claimed")
        counts = Counter(item.endpoint_id for item in claimed)
        for key, most in wanted.items():
            self._lanes[key].has_more = counts[key] == most
        for item in claimed:
            lane = self._lanes[item.endpoint_id]
            lane.ready.append(item)
            metrics.CALLBACK_LATENESS.observe(max(0.0, (now - item.due_at).total_seconds()))
        for key in counts:
            self._start_runners(self._lanes[key])
        return len(claimed)

    async def _seconds_to_next(self) -> float:
        # Lanes without room are not waited for: whatever makes room wakes us.
        now = self._runtime.clock.now()
        open_lanes = [key for key, lane in self._lanes.items() if lane.wants(now) > 0]
        pauses = [lane.breaker.retry_at for lane in self._lanes.values() if lane.breaker.retry_at is not None]
        moments = [moment for moment in pauses if moment > now]
        if self._next_due is None or self._next_due <= now:
            async with self._runtime.database.connection() as sql:
                self._next_due = await DeliveryStore(sql).find_next_due(open_lanes) if open_lanes else None
        if self._next_due is not None:
            moments.append(self._next_due)
        earliest = min(moments, default=None)
        if earliest is None:
            return LONGEST_SLEEP
        return min(LONGEST_SLEEP, max(SHORTEST_SLEEP, (earliest - now).total_seconds()))

    async def _refresh_lanes(self) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._refreshed_at < LONGEST_SLEEP:
            return
        async with self._runtime.database.connection() as sql:
            store = DeliveryStore(sql)
            configs = {config.endpoint_id: config for config in await store.list_endpoints(self._runtime.secrets)}
            if now - self._measured_at >= GAUGES_EVERY:
                self._measured_at = now
                self._show(await store.measure_backlog())
        for key, config in configs.items():
            lane = self._lanes.get(key)
            if lane is None:
                self._lanes[key] = Lane(config)
            elif lane.config.url != config.url:
                lane.config, lane.breaker = config, type(lane.breaker)()
            else:
                lane.config = config
        for key in self._lanes.keys() - configs.keys():
            self._recorder.give_back(self._lanes[key].take_ready())
        # A lane with callbacks on their way is kept until they are back: its count must stay right.
        gone = [key for key, lane in self._lanes.items() if key not in configs and lane.in_flight == 0]
        for key in gone:
            del self._lanes[key]
        self._refreshed_at = now

    def _show(self, backlog: Any) -> None:
        oldest = backlog["oldest"]
        age = (self._runtime.clock.now() - oldest).total_seconds() if oldest is not None else 0.0
        metrics.CALLBACKS_PENDING.set(backlog["pending"])
        metrics.CALLBACKS_OLDEST.set(max(0.0, age))
        metrics.FALLBACK_DEPTH.set(backlog["waiting"])
        metrics.ENDPOINTS.labels("active").set(backlog["active"])
        metrics.ENDPOINTS.labels("disabled").set(backlog["disabled"])

    def _start_runners(self, lane: Lane) -> None:
        most = 1 if lane.breaker.retry_at is not None else lane.config.max_concurrency
        for _ in range(min(len(lane.ready), most - lane.runners)):
            lane.runners += 1
            runner = asyncio.create_task(self._run_lane(lane))
            self._runners.add(runner)
            runner.add_done_callback(self._on_runner_done)

    def _on_runner_done(self, runner: "asyncio.Task[None]") -> None:
        self._runners.discard(runner)
        if not runner.cancelled() and (error := runner.exception()) is not None:
            # Its callback comes back when the lease ends.
            log.error("callback_runner_failed", error=type(error).__name__, stack=stack_of(error))

    async def _run_lane(self, lane: Lane) -> None:
        """Send from the lane's queue until it is empty: a task per slot, not per callback, saves 10 µs each."""
        try:
            while lane.ready:
                now = self._runtime.clock.now()
                if now - lane.ready[0].claimed_at > STALE or not lane.breaker.allows(now, lane.in_flight):
                    self._recorder.give_back(lane.take_ready())
                    return
                await self._deliver(lane, lane.ready.popleft(), now)
        finally:
            lane.runners -= 1
            if lane.has_more:
                self.wake()

    async def _deliver(self, lane: Lane, item: Claimed, now: datetime) -> None:
        assert self._client is not None
        loop = asyncio.get_running_loop()
        headers = sign(lane.config.keys, item.callback_id, now, item.body)
        began = loop.time()
        lane.in_flight += 1
        try:
            reply = await self._client.send(lane.config.url, headers, item.body)
        finally:
            lane.in_flight -= 1
        seconds = loop.time() - began
        ended_at = self._runtime.clock.now()
        lane.observe(seconds)
        if reply.is_absence:
            lane.breaker.record_absence(ended_at)
        else:
            lane.breaker.record_answer()
        _ATTEMPTS[reply.outcome].inc()
        metrics.CALLBACK_SECONDS.observe(seconds)
        failpoints.reach("callback_sent")
        self._recorder.add(_result(item, reply, now, timedelta(seconds=seconds), ended_at))

    async def _finish(self) -> None:
        for lane in self._lanes.values():
            self._recorder.give_back(lane.take_ready())
        if self._runners:
            await asyncio.wait(self._runners)

    async def _listen(self) -> None:
        """Be woken by commits that wrote callbacks or changed endpoints, in this process or another."""
        while True:
            try:
                connection = await self._runtime.database.dedicated()
                try:
                    await connection.add_listener(NOTIFY_CHANNEL, self._on_notify)
                    closed = asyncio.Event()
                    connection.add_termination_listener(lambda _, closed=closed: closed.set())
                    self.wake()
                    await closed.wait()
                finally:
                    # A failure here would take the place of the cancellation that brought us here, and we would go on.
                    with contextlib.suppress(Exception):
                        await connection.close(timeout=2)
            except Exception as error:
                if not is_dependency_failure(error):
                    raise
                log.warning("callback_listener_lost", error=type(error).__name__)
            await asyncio.sleep(LONGEST_SLEEP)

    def _on_notify(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        if payload == "endpoints":
            self._refreshed_at = float("-inf")
        self.wake()


def _result(item: Claimed, reply: Reply, started_at: datetime, duration: timedelta, now: datetime) -> Result:
    if reply.outcome == "delivered":
        state, due = "delivered", None
    else:
        due = next_due(item.callback_id, item.attempt, now, reply.retry_after)
        state = "pending" if due is not None else "failed"
    is_gone = reply.outcome == "gone"
    return Result(item, started_at, duration, state, reply.outcome, reply.status, due, is_gone)
