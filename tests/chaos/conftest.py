"""Servers that may be killed, and an installation on them, for the tests of one module."""

from collections.abc import Iterator

import pytest

from local_stack.stack import Servers

from .site import Site, own_servers, running_site


@pytest.fixture(scope="module")
def chaos_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with own_servers(tmp_path_factory.mktemp("chaos") / "servers") as servers:
        yield servers


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, chaos_servers: Servers) -> Iterator[Site]:
    with running_site(tmp_path_factory.mktemp("site"), chaos_servers) as made:
        yield made
