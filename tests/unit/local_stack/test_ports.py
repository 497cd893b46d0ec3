"""Choosing ports that disturb nobody."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_stack import services
from local_stack.failure import StackError
from local_stack.ports import LOOPBACK, free_ports, is_free, kept_ports, port_claims
from local_stack.services import SERVICES, Service, choose_ports


@pytest.fixture
def taken_port() -> Iterator[int]:
    """Yield a port somebody listens on."""
    with socket.create_server((LOOPBACK, 0)) as server:
        yield server.getsockname()[1]


def test_documented_ports_are_the_defaults() -> None:
    assert {service.name: service.default_port for service in SERVICES} == {
        "ingest": 8001,
        "scoring": 8002,
        "consent": 8003,
        "routing": 8004,
        "sla-monitor": 8005,
    }


def test_taken_default_gives_way_to_a_free_port(monkeypatch: pytest.MonkeyPatch, taken_port: int) -> None:
    monkeypatch.setattr(services, "SERVICES", (Service("ingest", "ingest", "INGEST_", taken_port),))
    chosen = choose_ports({})["ingest"]
    assert chosen != taken_port
    assert is_free(chosen)


def test_free_default_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    (port,) = free_ports(1)
    monkeypatch.setattr(services, "SERVICES", (Service("ingest", "ingest", "INGEST_", port),))
    assert choose_ports({}) == {"ingest": port}


def test_port_of_the_environment_wins() -> None:
    (port,) = free_ports(1)
    assert choose_ports({"SLA_MONITOR_PORT": str(port)})["sla-monitor"] == port


def test_taken_port_of_the_environment_is_an_error_that_names_the_variable(taken_port: int) -> None:
    with pytest.raises(StackError, match=f"INGEST_PORT is {taken_port}, which another program uses"):
        choose_ports({"INGEST_PORT": str(taken_port)})


@pytest.mark.parametrize("value", ["http", "0", "70000", "-1"])
def test_port_that_is_no_port_is_an_error(value: str) -> None:
    with pytest.raises(StackError, match=r"CONSENT_PORT is .* must be a port number"):
        choose_ports({"CONSENT_PORT": value})


def test_all_services_get_different_ports() -> None:
    assert len(set(choose_ports({}).values())) == len(SERVICES)


def test_ports_are_remembered_while_they_are_free(tmp_path: Path) -> None:
    file = tmp_path / "ports.json"
    first = kept_ports(file, ["broker", "controller"])
    assert kept_ports(file, ["broker", "controller"]) == first


def test_remembered_port_that_was_taken_since_is_replaced(tmp_path: Path) -> None:
    file = tmp_path / "ports.json"
    first = kept_ports(file, ["broker"])["broker"]
    with socket.create_server((LOOPBACK, first)):
        assert kept_ports(file, ["broker"])["broker"] != first


def test_damaged_memory_of_ports_is_forgotten(tmp_path: Path) -> None:
    file = tmp_path / "ports.json"
    file.write_text("{", "utf-8")
    assert kept_ports(file, ["broker"]).keys() == {"broker"}


def test_port_is_claimed_by_one_stack_at_a_time(tmp_path: Path) -> None:
    with port_claims(tmp_path) as ours:
        with port_claims(tmp_path) as theirs:
            assert ours(8001)
            assert not theirs(8001)
            assert theirs(8002)
        assert ours(8002)
    with port_claims(tmp_path) as later:
        assert later(8001)


def test_documented_port_that_another_stack_is_about_to_use_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    (port,) = free_ports(1)
    monkeypatch.setattr(services, "SERVICES", (Service("ingest", "ingest", "INGEST_", port),))
    assert choose_ports({}, lambda _: False)["ingest"] != port
