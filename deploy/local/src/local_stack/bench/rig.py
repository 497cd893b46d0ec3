"""The stack under load: sends one load after the other through it, and looks at what each one cost."""

import os
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import psutil
from aiokafka import TopicPartition

from local_stack.bench.database import Counter
from local_stack.bench.decisions import WATCHED, Decided, collect, end_offsets, read_since
from local_stack.bench.drain import ALL, Pipeline, watching
from local_stack.bench.generator import Plan, Summary, read_rows
from local_stack.bench.measured import CRM, Load, Measured, describe_phase
from local_stack.bench.processes import Helper, helper
from local_stack.bench.report import Phase
from local_stack.bench.usage import cpu_between, measure
from local_stack.bench.verification import Callback, find_faults, read_promises
from local_stack.failure import StackError
from local_stack.keys import admin_key
from local_stack.load.senders import Signing
from local_stack.load.setup import set_up
from local_stack.ports import LOOPBACK, free_ports
from local_stack.supervisor import RunningStack

PUBLIC_URL = "https://leads.example.com"
ENVIRONMENT = {"INGEST_PUBLIC_URL": PUBLIC_URL, "ROUTING_ALLOWED_PRIVATE_TARGETS": LOOPBACK}
DRAIN_SECONDS = 180.0
MOST_STATEMENTS = 12
SERVERS = ("PostgreSQL", "Kafka")


class Rig:
    """A stack with its sources, reps and a CRM."""

    def __init__(
        self, stack: RunningStack, folder: Path, pipeline: Pipeline, counter: Counter, crm: Helper,
        signing: dict[str, Signing],
    ) -> None:  # fmt: skip
        self._stack = stack
        self._folder = folder
        self._pipeline = pipeline
        self._counter = counter
        self._crm = crm
        self._signing = signing
        self._callbacks = 0
        self.pids = {**{child.name: child.pid for child in stack.children}, CRM: crm.pid}

    @property
    def servers(self) -> dict[str, int]:
        """Return the process ids of the servers that we started."""
        return {name: pid for name, pid in self.pids.items() if name in SERVERS}

    def check_running(self) -> None:
        """Errors: StackError when a process has ended."""
        for child in self._stack.children:
            child.check_running()
        self._crm.check_running()

    async def run(self, load: Load) -> Phase:
        """Send *load*, wait until nothing is left to do, judge it and return what it took.

        Errors: StackError when a promise was broken: no number of such a run is worth printing.
        """
        out = self._folder / f"{load.name}.ndjson"
        async with helper("local_stack.bench.generator") as generator:
            await generator.tell(msgspec.json.encode(self._plan(load, out)))
            await generator.hear()
            before = await self._pipeline.ledger()
            ends = await end_offsets(self._stack.servers.kafka_bootstrap_servers, ALL)
            await self._counter.forget_statements()
            counts, used, busy = await self._counter.read(), measure(self.pids), _busy_seconds()
            began, own = time.monotonic(), time.process_time()
            await generator.tell(b"go")
            summary = msgspec.json.decode(await generator.hear(), type=Summary)
            await self._pipeline.drained(DRAIN_SECONDS, self.check_running)
            used_after, busy = measure(self.pids), _busy_seconds() - busy
            own, elapsed = time.process_time() - own, time.monotonic() - began
            counts = (await self._counter.read()).since(counts)
            costliest = await self._counter.costliest(MOST_STATEMENTS)
            after = await self._pipeline.ledger(verify=True)
            spent = cpu_between(used, used_after)
            others = (busy - sum(spent.values()) - summary.cpu_seconds - own) / elapsed / (os.cpu_count() or 1)
            await generator.tell(b"write")
            await generator.hear()
        decided, callbacks, events = await self._read_back(ends)
        accepted = read_promises(read_rows(out))
        if faults := find_faults(accepted, decided, callbacks, before, after):
            raise StackError(f"{load.name}: no numbers, because the run broke a promise. {' '.join(faults)}")
        return describe_phase(
            load,
            Measured(
                summary=summary,
                leads=accepted.leads,
                decided=decided,
                callbacks=callbacks,
                cpu=spent,
                memory={name: usage.memory for name, usage in used_after.items()},
                counts=counts,
                others=max(0.0, others),
                events=events,
                costliest=costliest,
            ),
        )

    async def _read_back(self, ends: dict[TopicPartition, int]) -> tuple[Decided, list[Callback], int]:
        """Return what was decided and delivered since *ends*, and how many events it took."""
        servers = self._stack.servers.kafka_bootstrap_servers
        watched = {partition: end for partition, end in ends.items() if partition.topic in WATCHED}
        decided = collect(await read_since(servers, watched))
        events = sum((await end_offsets(servers, ALL)).values()) - sum(ends.values())
        return decided, self._new_callbacks(), events

    def _plan(self, load: Load, out: Path) -> Plan:
        ingest = urlsplit(self._stack.urls["ingest"])
        assert ingest.hostname is not None
        assert ingest.port is not None
        return Plan(
            host=ingest.hostname,
            port=ingest.port,
            count=load.count,
            rate=load.rate,
            connections=load.connections,
            seed=load.seed,
            population=f"{load.name}-",
            signing={kind: (secret.secret, secret.url) for kind, secret in self._signing.items()},
            out=str(out),
        )

    def _new_callbacks(self) -> list[Callback]:
        """Return the callbacks since the last call. The CRM has written them: it flushes when asked for its count."""
        with (self._folder / "callbacks.ndjson").open("rb") as file:
            file.seek(self._callbacks)
            lines = file.read().splitlines()
            self._callbacks = file.tell()
        decoded = (msgspec.json.decode(line, type=_CallbackRow) for line in lines)
        return [
            Callback(row.id, row.at, row.body.type, row.body.data.lead_id, row.body.data.assignment.assignment_id)
            for row in decoded
        ]


@asynccontextmanager
async def running_rig(stack: RunningStack, data_dir: Path) -> AsyncIterator[Rig]:
    """Set sources, reps and a CRM up on a running stack; take the CRM down at the end."""
    folder = data_dir / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    callbacks = folder / "callbacks.ndjson"
    callbacks.write_bytes(b"")
    key = admin_key(data_dir, stack.servers.database_url)
    port = free_ports(1)[0]
    crm_url = f"http://{LOOPBACK}:{port}/callbacks"
    setup = await set_up(
        stack.urls, key, secret_key=stack.environment["LEADRAIL_SECRET_KEY"], public_url=PUBLIC_URL, crm_url=crm_url
    )
    async with AsyncExitStack() as cleanup:
        crm = await cleanup.enter_async_context(
            helper(
                "local_stack.load.crm", "--port", str(port), "--secret", setup.crm_secret, "--out", callbacks, name=CRM
            )
        )
        await crm.hear()
        pipeline = await cleanup.enter_async_context(
            watching(
                ingest_url=stack.urls["ingest"],
                crm_url=crm_url,
                admin_key=key,
                bootstrap_servers=stack.servers.kafka_bootstrap_servers,
            )
        )
        counter = await Counter.open(stack.servers.database_url)
        cleanup.push_async_callback(counter.close)
        yield Rig(stack, folder, pipeline, counter, crm, setup.signing)


def _busy_seconds() -> float:
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0))


class _Assignment(msgspec.Struct, frozen=True):
    assignment_id: str | None = None


class _Data(msgspec.Struct):
    lead_id: str
    assignment: _Assignment = _Assignment()


class _Body(msgspec.Struct):
    type: str
    data: _Data


class _CallbackRow(msgspec.Struct):
    id: str
    at: float
    body: _Body
