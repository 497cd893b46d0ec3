"""The closed list of inputs a rule may look at, and how each is read."""

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import Final, Literal, get_args

from shared.contracts import Department, EmailKind, Facts, Lead, Seniority

Sort = Literal["text", "number", "flag", "choice"]
LONGEST_TEXT: Final = 200  # a title or an industry; what follows is not read, so a huge field costs no more than this

CUSTOM_PREFIX: Final = "lead.custom."


@dataclass(frozen=True, slots=True)
class Field:
    """One input of a rule. *read* takes the lead and the facts; ``None`` means not known."""

    name: str
    sort: Sort
    read: Callable[[Lead, Facts], object]
    choices: frozenset[str] = frozenset()


def _of_lead(name: str, sort: Sort = "text") -> Field:
    get = attrgetter(name)
    return Field(f"lead.{name}", sort, lambda lead, _facts: get(lead))


def _of_facts(name: str, sort: Sort = "text", choices: tuple[str, ...] = ()) -> Field:
    get = attrgetter(name)
    return Field(f"facts.{name}", sort, lambda _lead, facts: get(facts), frozenset(choices))


_FIELDS: Final = {
    field.name: field
    for field in (
        _of_lead("title"),
        _of_lead("company"),
        _of_lead("website"),
        _of_lead("country"),
        _of_lead("region"),
        _of_lead("city"),
        _of_lead("industry"),
        _of_lead("language"),
        _of_lead("employees", "number"),
        _of_facts("email_kind", "choice", get_args(EmailKind)),
        _of_facts("seniority", "choice", get_args(Seniority)),
        _of_facts("department", "choice", get_args(Department)),
        _of_facts("subject_kind", "choice", ("individual", "corporate")),
        _of_facts("company_domain"),
        _of_facts("is_competitor", "flag"),
    )
}
FIELD_NAMES: Final = tuple(_FIELDS)


def find_field(name: str) -> Field | None:
    """Return the input called *name* (``lead.title``, ``facts.seniority``, ``lead.custom.<field>``), or ``None``."""
    if name.startswith(CUSTOM_PREFIX) and len(name) > len(CUSTOM_PREFIX):
        key = name.removeprefix(CUSTOM_PREFIX)
        return Field(name, "text", lambda lead, _facts: lead.custom.get(key))
    return _FIELDS.get(name)
