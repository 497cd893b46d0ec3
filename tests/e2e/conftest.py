"""Each module of these tests has services, a database and topics of its own, so that they run side by side."""

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
import pytest_asyncio

from .installation import NAMES, Installation, running_installation
from .traffic import Traffic


@pytest.fixture(scope="module")
def service_names() -> tuple[str, ...]:
    """Return the services that the module starts; a module may override it."""
    return NAMES


@pytest.fixture(scope="module")
def extra_environment() -> dict[str, str]:
    """Return settings that the module wants beside the usual ones; a module may override it."""
    return {}


@pytest.fixture(scope="module")
def installation(
    tmp_path_factory: pytest.TempPathFactory,
    database_url: str,
    service_environment: dict[str, str],
    extra_environment: dict[str, str],
    service_names: tuple[str, ...],
) -> Iterator[Installation]:
    folder = tmp_path_factory.mktemp("installation")
    environment = {**service_environment, **extra_environment}
    with running_installation(folder, database_url, environment, service_names) as made:
        yield made


@pytest.fixture(scope="module")
def traffic(installation: Installation) -> Traffic:
    """Return the senders of this module's installation, who remember every promise they were given."""
    return Traffic(installation)


@pytest_asyncio.fixture
async def api(installation: Installation) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client with the admin's key."""
    async with httpx.AsyncClient(headers=installation.headers, timeout=20, trust_env=False) as client:
        yield client
