"""E-mail addresses: the one fold everything matches by, the form mail is sent to, and what sort of mailbox it is."""

import re
import unicodedata
from functools import lru_cache
from typing import Literal, NamedTuple

import email_validator

from ingest.domain.normalisation.reference import disposable_domains, email_words, free_domains
from ingest.domain.normalisation.scripts import is_lookalike
from shared.contracts.lead import EmailKind

EmailProblem = Literal["not_an_address", "several_addresses", "reserved_domain"]

_LONGEST = 254  # RFC 5321 4.5.3.1.3, less the angle brackets
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
# What nearly all senders send: 2 µs in all, where email-validator needs 25 to 90; what this does not match goes there.
_PLAIN = re.compile(rf"({_ATOM}(?:\.{_ATOM})*)@((?:{_LABEL}\.)+[A-Za-z]{{2,63}})", re.ASCII)
_WRAPPED = re.compile(r"[^<>]*<\s*(?:mailto:)?([^<>\s]+)\s*>\W*", re.IGNORECASE)
_RESERVED_TLDS = frozenset({"arpa", "invalid", "local", "localhost", "onion"})  # RFC 6761, less the ones tests live in


class Email(NamedTuple):
    """One address read from text. ``delivery`` and ``folded`` are both set or both None; ``problem`` says why not."""

    delivery: str | None
    folded: str | None
    problem: EmailProblem | None = None
    is_lookalike: bool = False


@lru_cache(maxsize=4096)  # the door folds, the enrich worker reads again: the second time is free
def read_email(text: str) -> Email:
    """Never raises, never asks DNS. The domain of both forms is NFKC, IDNA (``xn--``) and lower case.

    The local part is kept as typed for delivery (RFC 5321 leaves its case to the receiver) and NFKC case-folded for
    matching. Plus tags and dots are never taken out, at no provider: ``jane+a@`` and ``jane+b@`` are one mailbox at
    some hosts and two people at others, and two people in one lead cannot be told apart again, while two leads of one
    person still can be merged.
    """
    address = _bare(text)
    if len(address) > _LONGEST:
        return Email(None, None, "not_an_address")
    plain = _PLAIN.fullmatch(address)
    if plain is not None and plain.end(1) <= 64 and "--" not in plain[2]:
        domain = plain[2].lower()
        if domain.rpartition(".")[2] in _RESERVED_TLDS:
            return Email(None, None, "reserved_domain")
        return Email(f"{plain[1]}@{domain}", f"{plain[1].lower()}@{domain}")
    return _read_unusual(address)


def fold_email(text: str | None) -> str | None:
    """The spelling under which two addresses are the same person; None when *text* is not one address. Idempotent."""
    return None if text is None else read_email(text).folded


def delivery_email(text: str | None) -> str | None:
    """The address to send to and to show: the local part as typed, the domain in lower case."""
    return None if text is None else read_email(text).delivery


def _bare(text: str) -> str:
    """The address without what people paste around it: ``Jane <jane@acme.com>``, ``mailto:``, quotes, a full stop."""
    if text.isascii() and text.isalnum():
        return text
    if len(text) > 4 * _LONGEST:
        return text
    if not text.isascii():
        text = unicodedata.normalize(
            "NFKC", text
        )  # a full-width @ and full stop are the same keys on a Japanese keyboard
        text = "".join(character for character in text if unicodedata.category(character) != "Cf")
    text = text.strip()
    wrapped = _WRAPPED.fullmatch(text)
    if wrapped is not None:
        return wrapped[1]
    if text[:7].lower() == "mailto:":
        text = text[7:].partition("?")[0]
    return text.strip(" \t\r\n\"'`<>()[]{},;:.")


def _read_unusual(address: str) -> Email:
    if address.count("@") > 1 and re.search(r"[\s,;/|]", address):
        return Email(None, None, "several_addresses")
    try:
        valid = email_validator.validate_email(address, check_deliverability=False, test_environment=True, strict=True)
    except (email_validator.EmailNotValidError, ValueError) as reason:
        is_reserved = isinstance(reason, email_validator.EmailUndeliverableError) or "special-use" in str(reason)
        return Email(None, None, "reserved_domain" if is_reserved else "not_an_address")
    domain = valid.ascii_domain.lower()
    if domain.rpartition(".")[2] in _RESERVED_TLDS or "." not in domain:
        return Email(None, None, "reserved_domain")
    if len(domain.rpartition(".")[2]) < 2:
        return Email(None, None, "not_an_address")
    local = unicodedata.normalize("NFC", valid.local_part)
    flag = is_lookalike(local) or any(map(is_lookalike, valid.domain.split(".")))
    return Email(f"{local}@{domain}", f"{_fold_local(local)}@{domain}", is_lookalike=flag)


def _fold_local(local: str) -> str:
    """Unicode's toNFKC_Casefold: once is enough, so folding a folded address changes nothing."""
    once = unicodedata.normalize("NFKC", unicodedata.normalize("NFD", local).casefold())
    return unicodedata.normalize("NFKC", once.casefold())


def email_kind(address: str) -> EmailKind:
    """What sort of mailbox the folded *address* is: disposable, else role, else student, else free, else business."""
    local, _, domain = address.rpartition("@")
    if _is_listed(domain, disposable_domains()):
        return "disposable"
    words = email_words()
    if local.partition("+")[0].replace(".", "").replace("-", "").replace("_", "") in words.role:
        return "role"
    if is_academic(domain):
        return "student"
    return "free" if _is_listed(domain, free_domains()) else "business"


def is_academic(domain: str) -> bool:
    """``.edu``, ``.edu.xx``, ``.ac.xx``, a listed university, or a host that says so (``stud.tum.de``)."""
    labels = domain.split(".")
    if labels[-1] == "edu" or (len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in {"edu", "ac"}):
        return True
    return is_student_host(domain)


def is_student_host(domain: str) -> bool:
    """True when the host itself is named after students: its mailboxes belong to no member of staff."""
    return not email_words().student_hosts.isdisjoint(domain.split(".")[:-1])


def _is_listed(domain: str, listed: frozenset[str]) -> bool:
    """True for a listed domain and for each name below it."""
    while "." in domain:
        if domain in listed:
            return True
        domain = domain.partition(".")[2]
    return False
