"""A routing document, ready to run: what the YAML text becomes when it is valid."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from routing.domain.distribution import Member
from routing.domain.fields import FIELDS, Field
from routing.domain.predicates import Check, Predicate, compile_predicate, fields_of
from routing.domain.roster import Roster

WhenClosed = Literal["assign_anyway", "fallback"]
"""What happens to a lead when everybody who could take it is outside working hours: ``assign_anyway`` gives it to one
of them by their shares, as if they were at work; ``fallback`` puts it into the fallback queue."""


@dataclass(frozen=True, slots=True)
class Share:
    """Who a pool distributes among: one rep, or every rep of a team, each with ``weight``."""

    weight: int
    rep_id: str | None = None
    team: str | None = None


@dataclass(frozen=True, slots=True)
class Pool:
    """Members and their weights."""

    pool_id: str
    shares: tuple[Share, ...]
    when_closed: WhenClosed


@dataclass(frozen=True, slots=True)
class Rule:
    """Leads for which the condition holds go to ``pool_id``. The first matching rule wins."""

    rule_id: str
    pool_id: str
    condition: Predicate
    check: Check = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Compile the condition once."""
        object.__setattr__(self, "check", compile_predicate(self.condition))


@dataclass(frozen=True, slots=True)
class RoutingDocument:
    """Rules in order, the pools they name, and the policies around them."""

    rules: tuple[Rule, ...]
    pools: Mapping[str, Pool]
    has_nurture: bool
    """Leads below the MQL threshold stay with marketing."""
    has_account_owner: bool
    """A lead of a company that already has an owner goes to that owner."""
    when_closed: WhenClosed = "assign_anyway"
    fields: tuple[Field, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Collect the inputs that the rules read."""
        names = frozenset().union(*(fields_of(rule.condition) for rule in self.rules))
        object.__setattr__(self, "fields", tuple(FIELDS[name] for name in sorted(names)))


@dataclass(frozen=True, slots=True)
class Crew:
    """The members of one pool, teams resolved. ``missing``: reps the document names and nobody knows."""

    pool_id: str
    members: tuple[Member, ...]
    missing: tuple[str, ...]
    when_closed: WhenClosed
    total_weight: int

    @property
    def key(self) -> dict[str, int]:
        """Return what makes the balances of this crew comparable: who is in it, with which weights."""
        return {member.rep_id: member.weight for member in self.members}


def muster(pool: Pool, roster: Roster) -> Crew:
    """Return the members of *pool*, sorted by rep id. A rep named on its own keeps that weight, whatever its team's;
    a rep in two of the pool's teams counts with the larger weight."""
    weights: dict[str, int] = {}
    for share in pool.shares:
        if share.team is not None:
            for rep_id in roster.in_team(share.team):
                weights[rep_id] = max(share.weight, weights.get(rep_id, 0))
    missing = []
    for share in pool.shares:
        if share.rep_id is None:
            continue
        if share.rep_id in roster.reps:
            weights[share.rep_id] = share.weight
        else:
            missing.append(share.rep_id)
    members = tuple(Member(rep_id, weight) for rep_id, weight in sorted(weights.items()))
    return Crew(pool.pool_id, members, tuple(sorted(missing)), pool.when_closed, sum(m.weight for m in members))
