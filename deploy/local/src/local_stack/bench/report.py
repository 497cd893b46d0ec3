"""What a benchmark found: plain values, kept as JSON."""

from datetime import datetime

import msgspec

from local_stack.bench.database import Statement
from local_stack.bench.floor import FloorRun
from local_stack.bench.generator import Summary
from local_stack.bench.machine import Machine
from local_stack.bench.percentiles import Latency


class Phase(msgspec.Struct, frozen=True, kw_only=True):
    """One load, from its first request until nothing was left to do.

    ``leads``: lead records accepted, new and returning; every figure "per lead" divides by it, so activities,
    duplicates and invalid requests are paid for by the leads. ``seconds``: first request due to last decision or
    callback. ``cpu``: microseconds per lead by part; ``cpu_total`` of services and servers, the load itself (generator,
    CRM) apart in ``cpu_load``. ``others``: share of the machine's CPU that went to processes that are not ours: above a
    few per cent, milliseconds and leads per second are those of a shared machine. ``growth``: seconds by which the time
    to a decision grew within the run. Latencies count from the moment the request was due.
    """

    name: str
    rate: float
    requests: int
    leads: int
    kinds: dict[str, int]
    seconds: float
    leads_per_second: float
    cpu: dict[str, float]
    cpu_total: float
    cpu_load: float
    others: float
    memory_mb: dict[str, float]
    statements: float | None
    transactions: float
    wal_bytes: float
    events: float
    growth: float
    accepted: Latency | None
    decided: Latency | None
    assigned: Latency | None
    callback: Latency | None
    generator: Summary
    costliest: list[Statement] = []


class FloorReport(msgspec.Struct, frozen=True, kw_only=True):
    """The floor's bursts and its milliseconds through five hops at ``paced_rate``."""

    runs: list[FloorRun]
    leads_per_second: float
    cpu_total: float
    cpu: dict[str, float]
    paced_rate: float
    five_hops: Latency | None


class Paced(msgspec.Struct, frozen=True, kw_only=True):
    """Milliseconds at one rate, medians over the runs."""

    rate: float
    runs: list[Phase]
    accepted: Latency | None
    decided: Latency | None
    assigned: Latency | None
    callback: Latency | None
    cpu_total: float


class Sustained(msgspec.Struct, frozen=True, kw_only=True):
    """The highest rate tried at which the time to a decision did not grow. ``rate``: leads per second; 0: none held."""

    rate: float
    tried: list[Phase]


class Saturation(msgspec.Struct, frozen=True, kw_only=True):
    """Bursts of the mix, as fast as it goes; medians over the runs."""

    runs: list[Phase]
    leads_per_second: float
    cpu: dict[str, float]
    cpu_total: float
    times_the_floor: float
    statements: float | None
    transactions: float
    wal_bytes: float
    events: float
    memory_mb: dict[str, float]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All of it."""

    at: datetime
    commit: str
    machine: Machine
    postgres: str
    floor: FloorReport
    saturation: Saturation
    sustained: Sustained | None
    paced: list[Paced]


def encode_report(report: Report) -> bytes:
    """Return the JSON that is kept."""
    return msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n"


def decode_report(text: bytes) -> Report:
    """Return the report in *text*. Errors: `msgspec.DecodeError`."""
    return msgspec.json.decode(text, type=Report)
