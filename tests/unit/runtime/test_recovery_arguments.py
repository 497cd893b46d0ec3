"""The command line of a service: it runs, or it recovers since an instant that cannot be misread."""

from datetime import UTC, datetime

import pytest

from shared.runtime.recovery import read_arguments


def test_a_service_without_arguments_runs() -> None:
    assert read_arguments("routing", []) is None


def test_a_service_recovers_since_the_instant_that_is_given() -> None:
    since = read_arguments("routing", ["recover", "--since", "2026-11-24T12:00:00Z"])
    assert since == datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "arguments",
    [["recover"], ["recover", "--since", "2026-11-24T12:00:00"], ["recover", "--since", "noon"], ["run"], ["--help"]],
)
def test_anything_else_ends_with_the_usage(arguments: list[str]) -> None:
    with pytest.raises(SystemExit):
        read_arguments("routing", arguments)
