"""What a service process is given."""

from local_stack.services import SERVICES, service_environment

INGEST = SERVICES[0]


def test_service_gets_its_own_database_role_and_no_other() -> None:
    given = service_environment(
        INGEST,
        8001,
        inherited={"DATABASE_URL": "postgresql://superuser", "PATH": "/bin"},
        added={"INGEST_DATABASE_URL": "postgresql://ingest", "ROUTING_DATABASE_URL": "postgresql://routing"},
    )
    assert {name: value for name, value in given.items() if "DATABASE_URL" in name} == {
        "INGEST_DATABASE_URL": "postgresql://ingest"
    }
    assert given["PATH"] == "/bin"


def test_service_listens_on_loopback_at_the_chosen_port() -> None:
    given = service_environment(INGEST, 4711, inherited={"INGEST_HOST": "0.0.0.0"}, added={"INGEST_PORT": "1"})  # noqa: S104 - must not be used
    assert (given["INGEST_HOST"], given["INGEST_PORT"]) == ("127.0.0.1", "4711")
