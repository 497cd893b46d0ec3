"""From the YAML text of a rule table to a table that decides, or to the list of what is wrong with it."""

from importlib.resources import files
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from consent.domain.rules import Basis, Rule, RuleTable, SubjectKind
from consent.domain.statements import Channel, Purpose
from shared.documents import DocumentInvalid, load_yaml

Configurable = Literal["DE", "EEA", "UK", "CA", "US-CA", "US"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RulePart(_Part):
    """One rule. ``source``: the law or decision it rests on; a rule nobody can trace is no rule."""

    id: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9-]{1,40}$")]
    jurisdictions: Annotated[list[Configurable], Field(min_length=1)]
    channels: Annotated[list[Channel], Field(min_length=1)]
    subject_kinds: Annotated[list[SubjectKind], Field(min_length=1)]
    purposes: Annotated[list[Purpose], Field(min_length=1)]
    basis: Basis
    relation: Literal["inquiry", "purchase"] | None = None
    months: Annotated[int | None, Field(ge=1, le=120)] = None
    source: Annotated[str, Field(min_length=5, max_length=500)]

    @model_validator(mode="after")
    def _relation_fits_basis(self) -> Self:
        if (self.basis == "relation") != (self.relation is not None):
            raise ValueError("relation goes with basis relation, and only with it")
        if self.months is not None and self.relation is None:
            raise ValueError("months needs a relation to count from")
        return self


class RuleTablePart(_Part):
    """The document."""

    note: str
    strictest: Configurable
    inquiry_sources: list[Annotated[str, Field(pattern=r"^[a-z0-9_]{1,40}$")]]
    rules: Annotated[list[RulePart], Field(min_length=1, max_length=500)]


def default_rules_text() -> str:
    """Return the table this version of Leadrail ships with."""
    return files("consent").joinpath("defaults/rules.yaml").read_text(encoding="utf-8")


def parse_rules(text: str) -> RuleTable:
    """Return the table that *text* describes. Errors: `DocumentInvalid` with a JSON pointer for every fault."""
    try:
        document = RuleTablePart.model_validate(load_yaml(text))
    except ValidationError as invalid:
        raise DocumentInvalid(
            [
                {"pointer": "".join(f"/{part}" for part in error["loc"]), "detail": error["msg"]}
                for error in invalid.errors()
            ]
        ) from None
    if faults := _faults(document):
        raise DocumentInvalid([{"pointer": pointer, "detail": detail} for pointer, detail in faults])
    return RuleTable(
        rules=tuple(
            Rule(
                id=part.id,
                jurisdictions=frozenset(part.jurisdictions),
                channels=frozenset(part.channels),
                subject_kinds=frozenset(part.subject_kinds),
                purposes=frozenset(part.purposes),
                basis=part.basis,
                relation=part.relation,
                months=part.months,
                source=part.source,
            )
            for part in document.rules
        ),
        strictest=document.strictest,
        inquiry_sources=frozenset(document.inquiry_sources),
    )


def _faults(document: RuleTablePart) -> list[tuple[str, str]]:
    faults = []
    seen: set[str] = set()
    for index, part in enumerate(document.rules):
        if part.id in seen:
            faults.append((f"/rules/{index}/id", "another rule has this id"))
        seen.add(part.id)
    if not any(document.strictest in part.jurisdictions for part in document.rules):
        faults.append(("/strictest", "no rule speaks about this jurisdiction"))
    return faults
