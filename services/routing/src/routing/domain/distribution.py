"""Weighted distribution by smooth weighted shortfall.

Each lead brings every member who can take it a share (its weight over the weights of all who can); whoever gets the
lead pays one whole lead. ``balance`` is what a member was promised and did not get yet. Members whose balance, with
the share of this lead, is above zero have a shortfall; among them the lead goes to the one who would first be a
whole lead behind (earliest deadline); ties to the larger shortfall, then to the smaller rep id.

**Within one lead**: while the same members can take leads, every member's count stays strictly within one lead of
its exact share, after every single lead. Reason: the j-th lead of member i may be given in slots
floor((j-1)/s)+1 .. ceil(j/s), s its share. Giving each lead in fractions of s meets every window and fills every slot
once, so an assignment of whole leads to slots exists (the bipartite matching polytope is integral), and for unit jobs
with integer windows earliest-deadline-first finds it. Picking the largest shortfall alone would not keep the bound.

**Absence**: a member who cannot take leads (away, at a cap) keeps its balance as it was. The others share the leads
by their own weights; nothing is saved up for the absent member, so its return brings no burst.
"""

from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass

UNIT = 1_000_000
"""Balances are whole numbers of 1/(UNIT * total weight of the pool) leads. With all members there the shares are
exact; with some absent each lead rounds by at most one part in UNIT, and the sum of all balances never drifts."""


@dataclass(frozen=True, slots=True)
class Member:
    """A rep in a pool. ``weight`` is a positive whole number."""

    rep_id: str
    weight: int


@dataclass(frozen=True, slots=True)
class Standing:
    """How a member stood when a lead was given: leads behind (negative: ahead) with this lead's share, and after how
    many more leads it would be a whole lead behind."""

    behind: float
    deadline: int
    has_turn: bool


@dataclass(frozen=True, slots=True)
class Choice:
    """Who gets the lead, and how every member that could take it stood."""

    rep_id: str
    standings: Mapping[str, Standing]


def choose_rep(balances: Mapping[str, int], total_weight: int, eligible: Sequence[Member]) -> Choice:
    """Return who of *eligible* (at least one) gets the next lead. ``total_weight``: of the whole pool.

    Deterministic: the same balances and members give the same choice.
    """
    lead = UNIT * total_weight
    weight_here = sum(member.weight for member in eligible)
    # Balances of the absent are frozen, so those of the present need not sum to zero: compare within the present.
    carried = sum(balances.get(member.rep_id, 0) for member in eligible)
    standings: dict[str, Standing] = {}
    best: tuple[bool, int, int, str] | None = None
    for member in eligible:
        share = lead * member.weight
        balance = balances.get(member.rep_id, 0) * weight_here - carried * member.weight
        deadline = -((balance - lead * weight_here) // share)
        shortfall = balance + share
        standings[member.rep_id] = Standing(round(shortfall / (lead * weight_here), 6), deadline, shortfall > 0)
        rank = (shortfall <= 0, deadline, -shortfall, member.rep_id)
        if best is None or rank < best:
            best = rank
    if best is None:
        message = "nobody to choose from"
        raise ValueError(message)
    return Choice(best[3], standings)


def charge(balances: MutableMapping[str, int], total_weight: int, eligible: Sequence[Member], chosen: str) -> None:
    """Move *balances* on by one lead that went to *chosen*, one of *eligible*."""
    lead = UNIT * total_weight
    weight_here = sum(member.weight for member in eligible)
    given = 0
    for member in eligible:
        share = lead * member.weight // weight_here
        balances[member.rep_id] = balances.get(member.rep_id, 0) + share
        given += share
    # The chosen one pays what was handed out, not a round lead: the sum of all balances stays what it was.
    balances[chosen] -= given
