"""Every rule refuses a planted violation, and lets the nearest legal code pass."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from leadrail_tools.architecture.check import check_module, check_repository
from leadrail_tools.architecture.module import Finding
from leadrail_tools.architecture.shape import ROOMS, SERVICES, package_of, services_of_one_shape
from leadrail_tools.checkout import repository_root

HANDLERS = "services/scoring/src/scoring/handlers.py"
DOMAIN = "services/scoring/src/scoring/domain/decay.py"
CONTRACTS = "shared/src/shared/contracts/lead.py"
METRICS = "services/scoring/src/scoring/metrics.py"
TEST = "tests/unit/scoring/test_decay.py"

UNFINISHED = "TO" + "DO"

VIOLATIONS = [
    ("one-clock", HANDLERS, "from datetime import datetime\nx = datetime.now()"),
    ("one-clock", HANDLERS, "import datetime as dt\nx = dt.datetime.now(dt.UTC)"),
    ("one-clock", HANDLERS, "from datetime import datetime\nx = datetime.utcnow()"),
    ("one-clock", HANDLERS, "from datetime import date\nx = date.today()"),
    ("one-clock", HANDLERS, "import time\nx = time.time()"),
    ("one-clock", HANDLERS, "from time import time as instant\nx = instant()"),
    ("one-clock", HANDLERS, "from datetime import datetime\nfield(default_factory=datetime.now)"),
    ("one-clock", TEST, "from datetime import datetime, UTC\nx = datetime.now(UTC)"),
    ("one-clock", HANDLERS, "import time\nx = time.time()  # noqa: TID251"),
    ("one-clock", HANDLERS, 'SQL = "SELECT 1 WHERE due_at < clock_timestamp()"'),
    ("one-id-maker", HANDLERS, "from uuid import uuid4\nx = uuid4()"),
    ("one-id-maker", HANDLERS, "import uuid\nx = uuid.uuid4()"),
    ("one-id-maker", HANDLERS, "import uuid_utils\nx = uuid_utils.uuid7()"),
    ("one-id-maker", HANDLERS, 'SQL = "INSERT INTO t VALUES (gen_random_uuid())"'),
    ("pure-domain", DOMAIN, "import asyncpg"),
    ("pure-domain", DOMAIN, "from shared.clock import SystemClock"),
    ("pure-domain", DOMAIN, "from shared.ids import new_id"),
    ("pure-domain", DOMAIN, "from scoring.repository import ScoringRepository"),
    ("pure-domain", DOMAIN, "from pydantic import BaseModel"),
    ("pure-domain", DOMAIN, "import random"),
    ("pure-domain", DOMAIN, "from urllib.request import urlopen"),
    ("pure-domain", DOMAIN, "async def decide() -> None: ..."),
    ("pure-domain", DOMAIN, "text = open('rules.yaml').read()"),
    ("pure-domain", "services/ingest/src/ingest/domain/senders/zoom.py", "import httpx"),
    ("lean-contracts", CONTRACTS, "import pydantic"),
    ("lean-contracts", CONTRACTS, "from shared.clock import Clock"),
    ("lean-contracts", CONTRACTS, "import socket"),
    ("one-commit", HANDLERS, "async def f(session):\n    await session.commit()"),
    ("one-commit", "shared/src/shared/documents.py", "def f(connection):\n    connection.commit()"),
    ("kafka-in-shared", HANDLERS, "from aiokafka import AIOKafkaProducer"),
    ("pure-asgi", HANDLERS, "from starlette.middleware.base import BaseHTTPMiddleware"),
    ("no-print", HANDLERS, "print('lead')"),
    ("only-failpoints-kill", HANDLERS, "import os, signal\nos.kill(os.getpid(), signal.SIGTERM)"),
    ("only-failpoints-kill", "shared/src/shared/runtime/outbox.py", "from signal import SIGSTOP\nx = SIGSTOP"),
    ("short-modules", HANDLERS, "x = 1\n" * 401),
    ("telling-names", "services/scoring/src/scoring/utils.py", ""),
    ("telling-names", "shared/src/shared/helpers.py", ""),
    ("telling-names", "shared/src/shared/common/db.py", ""),
    ("telling-names", "shared/src/shared/misc.py", ""),
    ("telling-names", "shared/src/shared/manager.py", ""),
    ("telling-names", "shared/src/shared/base.py", ""),
    ("finished", HANDLERS, f"x = 1  # {UNFINISHED}: decay"),
    ("finished", HANDLERS, "def f():\n    raise NotImplementedError"),
    ("finished", TEST, "import pytest\n@pytest.mark.skip\ndef test_x(): ..."),
    ("metrics", HANDLERS, "from prometheus_client import Counter\nx = Counter('leadrail_x_total', 'd')"),
    ("metrics", METRICS, "from prometheus_client import Counter\nx = Counter('scoring_x_total', 'd')"),
    ("metrics", METRICS, "from prometheus_client import Counter\nx = Counter('leadrail_x', 'd')"),
    ("metrics", METRICS, "from prometheus_client import Gauge\nx = Gauge('leadrail_x_total', 'd')"),
    ("metrics", METRICS, "from prometheus_client import Gauge\nx = Gauge('leadrail_age_ms', 'd')"),
    ("metrics", METRICS, "import prometheus_client as p\nx = p.Gauge('leadrail_x', 'd', ['lead_id'])"),
    ("metrics", METRICS, "from prometheus_client import Gauge\nx = Gauge('leadrail_x', 'd', labelnames=['email'])"),
    ("metrics", METRICS, "from prometheus_client import Gauge\nx = Gauge('leadrail_x', 'd', LABELS)"),
    ("metrics", METRICS, "from prometheus_client import Gauge\nx = Gauge(NAME, 'd')"),
    ("syntax", HANDLERS, "def f(:"),
]

LEGAL = [
    ("shared/src/shared/clock.py", "from datetime import UTC, datetime\nx = datetime.now(UTC)"),
    ("shared/src/shared/ids.py", "from uuid_utils import uuid7\nx = uuid7()"),
    (HANDLERS, "def f(work):\n    return work.clock.now()"),
    (HANDLERS, "from datetime import datetime\nx = datetime.fromisoformat('2026-01-01T00:00:00Z')"),
    (HANDLERS, "import time\nx = time.perf_counter()"),
    (HANDLERS, "import time\nx = time.time()  # noqa: TID251 - compared with the broker's clock"),
    (HANDLERS, "from uuid import UUID\nx = UUID(int=1)"),
    (HANDLERS, "async def f(session):\n    await session.execute('x')"),
    ("shared/src/shared/runtime/work.py", "async def f(connection):\n    await connection.commit()"),
    (DOMAIN, "import math\nfrom datetime import timedelta\nimport msgspec\nfrom shared.contracts import Lead"),
    (DOMAIN, "from scoring.domain.grade import Grade\nfrom urllib.parse import urlsplit\nimport phonenumbers"),
    (CONTRACTS, "from datetime import datetime\nimport msgspec\nfrom shared.contracts.event import Event"),
    ("services/scoring/src/scoring/__main__.py", "print('version')"),
    ("tools/src/leadrail_tools/x.py", "print('ok')"),
    ("shared/src/shared/failpoints.py", "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"),
    (HANDLERS, "import signal\nx = signal.SIGTERM"),
    (HANDLERS, "x = 1\n" * 400),
    (METRICS, "from prometheus_client import Counter\nx = Counter('leadrail_x_total', 'd', ('outcome',))"),
    (
        METRICS,
        "from prometheus_client import Histogram\nx = Histogram('leadrail_x_seconds', 'd', labelnames=['stage'])",
    ),
]


@pytest.mark.parametrize(("rule", "path", "source"), VIOLATIONS)
def test_a_planted_violation_is_found(rule: str, path: str, source: str) -> None:
    assert rule in {finding.rule for finding in check_module(path, source)}


@pytest.mark.parametrize(("path", "source"), LEGAL)
def test_the_nearest_legal_code_passes(path: str, source: str) -> None:
    assert check_module(path, source) == []


def test_a_finding_names_file_line_and_rule() -> None:
    (finding,) = check_module(HANDLERS, "import time\n\nx = time.time()")
    assert str(finding).startswith(f"{HANDLERS}:3: [one-clock] time.time")


def test_the_repository_keeps_its_rules() -> None:
    assert [str(finding) for finding in check_repository(repository_root())] == []


@pytest.fixture
def whole_house(tmp_path: Path) -> Path:
    """A repository whose five services have every room."""
    for service in SERVICES:
        package = package_of(service)
        source = tmp_path / "services" / service / "src" / package
        (source / "domain").mkdir(parents=True)
        (source / "migrations" / "versions").mkdir(parents=True)
        for file in (
            "__init__.py", "__main__.py", "py.typed", "domain/__init__.py", "migrations/__init__.py",
            "migrations/env.py", "migrations/versions/0001_initial.py", *(f"{room}.py" for room in ROOMS),
        ):  # fmt: skip
            (source / file).touch()
        (source / "settings.py").write_text(f'settings_config("{package.upper()}_")')
        folder = tmp_path / "services" / service
        (folder / "Dockerfile").touch()
        (folder / "README.md").write_text("## Consumes\n## Produces\n## Owns\n## Settings\n## Runbook\n")
        (folder / "pyproject.toml").write_text(
            f'[project]\nname = "leadrail-{service}"\n[project.scripts]\n{service} = "{package}.__main__:main"\n'
        )
        (tmp_path / "tests" / "unit" / package).mkdir(parents=True)
        (tmp_path / "tests" / "integration" / package).mkdir(parents=True)
    return tmp_path


def test_five_services_of_one_shape_pass(whole_house: Path) -> None:
    assert list(services_of_one_shape(whole_house)) == []


@pytest.mark.parametrize(
    "missing",
    [
        "services/routing/Dockerfile",
        "services/routing/README.md",
        "services/routing/src/routing/tables.py",
        "services/routing/src/routing/migrations/versions/0001_initial.py",
        "services/sla-monitor/src/sla_monitor/metrics.py",
    ],
)
def test_a_missing_room_is_found(whole_house: Path, missing: str) -> None:
    (whole_house / missing).unlink()
    assert [finding.path for finding in services_of_one_shape(whole_house)] == [missing]


def test_a_sixth_folder_that_is_no_service_is_found(whole_house: Path) -> None:
    (whole_house / "services" / "notes").mkdir()
    assert _paths(services_of_one_shape(whole_house)) == ["services/notes"]


def test_another_environment_prefix_is_found(whole_house: Path) -> None:
    (whole_house / "services/ingest/src/ingest/settings.py").write_text('settings_config("INTAKE_")')
    assert _paths(services_of_one_shape(whole_house)) == ["services/ingest/src/ingest/settings.py"]


def test_another_distribution_name_is_found(whole_house: Path) -> None:
    file = whole_house / "services/ingest/pyproject.toml"
    file.write_text(file.read_text().replace("leadrail-ingest", "intake"))
    assert _paths(services_of_one_shape(whole_house)) == ["services/ingest/pyproject.toml"]


def test_a_readme_without_a_runbook_is_found(whole_house: Path) -> None:
    (whole_house / "services/ingest/README.md").write_text("## Consumes\n## Produces\n## Owns\n## Settings\n")
    assert _paths(services_of_one_shape(whole_house)) == ["services/ingest/README.md"]


def _paths(findings: Iterable[Finding]) -> list[str]:
    return [finding.path for finding in findings]
