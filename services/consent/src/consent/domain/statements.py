"""What a person has said, folded into what decides: per purpose and channel the latest of each kind of statement.

The fold is a maximum over (happened_at, known_at): the order in which statements arrive changes nothing.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Final, Literal, get_args

import msgspec

Purpose = Literal["sales_contact", "marketing", "profiling", "sale_share"]
Channel = Literal["email", "phone", "sms"]
PURPOSES: Final = get_args(Purpose)
CHANNELS: Final = get_args(Channel)

State = Literal["given", "refused", "withdrawn", "objected"]
NOES: Final = ("refused", "withdrawn", "objected")
Relation = Literal["inquiry", "purchase", "stop_mail", "stop_phone"]
"""What makes a person more than an address: they asked us something, they bought from us; or the address itself must
stop, wherever it turns up (mail came back, an unsubscribe, an objection)."""


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """One consent event of a person (ISO/IEC TS 27560 ``events``), as recorded in the ledger."""

    record_id: str
    state: State
    purposes: tuple[str, ...]
    channels: tuple[str, ...]
    happened_at: datetime
    known_at: datetime
    method: str
    lawful_basis: str = "consent"
    notice_version: str | None = None
    text_shown: str | None = None
    is_double_opt_in: bool = False

    @property
    def has_proof(self) -> bool:
        """Tell whether a grant counts in the EEA: which notice, by which method (a pre-ticked box is none), when."""
        return bool(self.notice_version and self.method) and not is_preticked(self.method)


def is_preticked(method: str) -> bool:
    """Tell whether a method says that the box was ticked for the person (CJEU C-673/17: no consent)."""
    return "preticked" in method.replace("_", "").replace("-", "").lower()


class Mark(msgspec.Struct, frozen=True, array_like=True):
    """When something was last said, when we knew, and the ledger row that proves it."""

    happened_at: datetime
    known_at: datetime
    record_id: str

    @property
    def order(self) -> tuple[datetime, datetime, str]:
        """Return what decides which of two marks is the later one."""
        return (self.happened_at, self.known_at, self.record_id)


class Standing(msgspec.Struct, frozen=True, array_like=True):
    """Everything said by one person that can still decide. Bounded: one mark per kind, purpose and channel."""

    marks: dict[str, Mark] = {}
    relations: dict[str, Mark] = {}

    def latest(self, kind: str, purpose: str, channel: str) -> Mark | None:
        """Return the latest mark of *kind* (given, proved, confirmed, refused, withdrawn, objected)."""
        return self.marks.get(f"{kind}/{purpose}/{channel}")

    def uncancelled(self, kind: str, purpose: str, channel: str) -> Mark | None:
        """Return the latest grant of *kind*, unless a "no" of any kind came at the same instant or later."""
        grant = self.latest(kind, purpose, channel)
        noes = (self.latest(no, purpose, channel) for no in NOES)
        if grant is None or any(no is not None and no.happened_at >= grant.happened_at for no in noes):
            return None
        return grant


def fold(standing: Standing, statements: Iterable[Statement]) -> Standing:
    """Return *standing* with *statements* taken in; the same for every order of them."""
    marks = dict(standing.marks)
    for statement in statements:
        mark = Mark(statement.happened_at, statement.known_at, statement.record_id)
        for kind in _kinds(statement):
            for purpose in statement.purposes:
                for channel in statement.channels:
                    _keep_later(marks, f"{kind}/{purpose}/{channel}", mark)
    return Standing(marks, standing.relations)


def relate(standing: Standing, relation: Relation, mark: Mark) -> Standing:
    """Return *standing* with the knowledge that the person asked or bought at that time."""
    relations = dict(standing.relations)
    _keep_later(relations, relation, mark)
    return Standing(standing.marks, relations)


def _kinds(statement: Statement) -> tuple[str, ...]:
    """Return the marks a statement sets: a confirmed grant is a proved one, and a proved one is one."""
    if statement.state != "given":
        return (statement.state,)
    if not statement.has_proof:
        return ("given",)
    return ("given", "proved", "confirmed") if statement.is_double_opt_in else ("given", "proved")


def _keep_later(marks: dict[str, Mark], key: str, mark: Mark) -> None:
    known = marks.get(key)
    if known is None or known.order < mark.order:
        marks[key] = mark
