"""Who runs PostgreSQL when we are root, and what that one can reach."""

import os
from pathlib import Path

import pytest

from local_stack import postgres_account
from local_stack.failure import StackError
from local_stack.postgres_account import Account

STRANGER = Account(uid=54_321, gid=54_321)


def test_nobody_is_asked_for_when_we_are_not_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert postgres_account.postgres_account() is None


def test_root_hands_over_to_an_unprivileged_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.delenv("LEADRAIL_PG_USER", raising=False)
    account = postgres_account.postgres_account()
    assert account is not None
    assert account.uid != 0


@pytest.mark.parametrize("user", ["root", "0", "no-such-user-here", "3999999999"])
def test_user_that_cannot_run_postgresql_is_refused_with_the_setting_to_change(
    monkeypatch: pytest.MonkeyPatch, user: str
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("LEADRAIL_PG_USER", user)
    with pytest.raises(StackError, match="LEADRAIL_PG_USER"):
        postgres_account.postgres_account()


def test_folder_below_a_private_one_cannot_be_reached(tmp_path: Path) -> None:
    private = tmp_path / "private"
    (private / "inner").mkdir(parents=True)
    private.chmod(0o700)
    assert not postgres_account._reaches(STRANGER, private / "inner")


def test_open_folder_can_be_reached() -> None:
    assert postgres_account._reaches(STRANGER, Path("/usr/bin"))


def test_our_own_user_keeps_the_data_where_it_is_wanted(tmp_path: Path) -> None:
    wanted = tmp_path / "data" / "postgres"
    assert postgres_account.data_home_for(None, wanted) == wanted
    assert wanted.stat().st_mode & 0o077 == 0
