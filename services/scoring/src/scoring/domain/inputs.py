"""Inputs of rules beyond reading them: what a derived one comes from, and a lead with other values."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec

from scoring.domain.fields import CUSTOM_PREFIX
from scoring.domain.model import Example
from shared.contracts import Facts, Lead

DERIVED_FROM: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType({
    "facts.email_kind": ("lead.email", "lead.title"),
    "facts.company_domain": ("lead.email", "lead.title", "lead.website"),
    "facts.seniority": ("lead.title",),
    "facts.department": ("lead.title",),
    "facts.is_competitor": ("lead.email", "lead.website"),
    "facts.subject_kind": ("lead.company", "lead.email", "lead.title"),
})  # fmt: skip
"""What enrichment concludes each fact from. The title tells a university's head of purchasing from its students."""

_LEAD: Final = "lead."
_FACTS: Final = "facts."


def note_on(name: str, facts: Facts) -> str | None:
    """Return the code that says why the input called *name* stayed unset or is what it is; ``None`` = nothing to say.
    Custom fields have none: enrichment does not read them."""
    if name.startswith(CUSTOM_PREFIX):
        return None
    return facts.notes.get(name.rpartition(".")[2])


def may_change(name: str) -> bool:
    """Say if `with_inputs` can give the input called *name* another value."""
    return name.startswith((_LEAD, _FACTS))


def with_inputs(lead: Lead, facts: Facts, changes: Mapping[str, Example]) -> tuple[Lead, Facts]:
    """Return the lead and its facts with other values of some inputs. Nothing is derived anew: a changed title leaves
    the seniority alone, so that a rule's own condition decides."""
    of_lead: dict[str, Any] = {}
    of_facts: dict[str, Any] = {}
    custom = dict(lead.custom)
    for name, value in changes.items():
        if name.startswith(CUSTOM_PREFIX):
            key = name.removeprefix(CUSTOM_PREFIX)
            if value is None:
                custom.pop(key, None)
            else:
                custom[key] = str(value)
        elif name.startswith(_LEAD):
            of_lead[name.removeprefix(_LEAD)] = value
        else:
            of_facts[name.removeprefix(_FACTS)] = value
    return msgspec.structs.replace(lead, custom=custom, **of_lead), msgspec.structs.replace(facts, **of_facts)
