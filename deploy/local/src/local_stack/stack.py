"""PostgreSQL and Kafka together: ours as child processes, or those that the environment names."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from local_stack.children import Child
from local_stack.kafka import Kafka
from local_stack.postgres import Postgres


class Servers(NamedTuple):
    """Where the two servers answer, and the processes behind them (none for a server of somebody else)."""

    database_url: str
    kafka_bootstrap_servers: str
    postgres: Postgres | None
    kafka: Kafka | None

    @property
    def children(self) -> list[Child]:
        """Return the processes we started for them."""
        return [child for server in (self.postgres, self.kafka) if server for child in server.children]


@contextmanager
def running_servers(data_dir: Path, *, fsync: bool = True, own: bool = False) -> Iterator[Servers]:
    """Start both servers on *data_dir*, yield when both answer, stop them at the end; the data is kept.

    ``DATABASE_URL`` and ``KAFKA_BOOTSTRAP_SERVERS`` win: a server named there is used and neither started nor stopped.
    *own* ignores them, for tests that kill servers. *fsync* off is for tests only: a power cut then loses commits.
    """
    given_database = None if own else os.environ.get("DATABASE_URL")
    given_kafka = None if own else os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
    data_dir.mkdir(parents=True, exist_ok=True)
    logs = data_dir / "logs"
    with ExitStack() as cleanup:
        postgres = None if given_database else Postgres(data_dir, logs, fsync=fsync)
        if postgres:
            cleanup.callback(postgres.stop)
            postgres.prepare()
        kafka = None if given_kafka else Kafka(data_dir, logs)
        if kafka:
            cleanup.callback(kafka.stop)
            kafka.prepare()
        started = [server for server in (postgres, kafka) if server]
        for server in started:
            server.launch()
        for server in started:
            server.wait_ready()
        yield Servers(
            database_url=postgres.url if postgres else str(given_database),
            kafka_bootstrap_servers=kafka.bootstrap_servers if kafka else str(given_kafka),
            postgres=postgres,
            kafka=kafka,
        )
