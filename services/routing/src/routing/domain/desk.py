"""Everything a batch of decisions needs to know, in memory: loaded once, moved on by each decision, saved once."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from routing.domain.decision import Tenure
from routing.domain.distribution import Member, charge
from routing.domain.document import Crew, Pool, RoutingDocument, muster
from routing.domain.roster import Load, Roster
from shared.contracts import LeadCleared


@dataclass(slots=True)
class LeadFile:
    """What is known of one lead."""

    lead_id: str
    case: LeadCleared | None = None
    """The latest clearance, with the lead as it was then."""
    blocked_at: datetime | None = None
    """Since when consent forbids contact; a verdict given later counts again."""
    owner: Tenure | None = None
    is_waiting: bool = False
    """In the fallback queue."""

    def is_blocked(self, decided_at: datetime) -> bool:
        """Say if contact was forbidden at or after *decided_at*. A tie is decided against contact."""
        return self.blocked_at is not None and decided_at <= self.blocked_at


@dataclass(slots=True)
class Desk:
    """The state that decisions of one transaction are made on."""

    now: datetime
    document: RoutingDocument
    document_version: str
    roster: Roster
    files: dict[str, LeadFile] = field(default_factory=dict)
    accounts: dict[str, str | None] = field(default_factory=dict)
    """Owner of each company domain."""
    balances: dict[str, dict[str, int]] = field(default_factory=dict)
    loads: dict[str, Load] = field(default_factory=dict)
    changed_pools: set[str] = field(default_factory=set)
    changed_loads: set[str] = field(default_factory=set)
    changed_accounts: set[str] = field(default_factory=set)
    _crews: dict[str, Crew] = field(default_factory=dict)

    def crew(self, pool: Pool) -> Crew:
        """Return the members of *pool* now."""
        crew = self._crews.get(pool.pool_id)
        if crew is None:
            crew = self._crews[pool.pool_id] = muster(pool, self.roster)
        return crew

    def load_of(self, rep_id: str) -> Load:
        """Return the rep's load, zero if none is known."""
        load = self.loads.get(rep_id)
        if load is None:
            load = self.loads[rep_id] = Load()
        return load

    def take_from_pool(self, crew: Crew, eligible: Iterable[Member], rep_id: str) -> None:
        """Charge the pool for one lead that *rep_id* got."""
        charge(self.balances.setdefault(crew.pool_id, {}), crew.total_weight, tuple(eligible), rep_id)
        self.changed_pools.add(crew.pool_id)

    def give(self, rep_id: str) -> None:
        """Count a lead that *rep_id* got at this instant."""
        load, day = self.load_of(rep_id), self.roster.day_of(rep_id, self.now)
        load.open += 1
        load.given = load.given_on(day) + 1
        load.day = day
        self.changed_loads.add(rep_id)

    def relieve(self, owner: Tenure) -> None:
        """Count a lead that its owner no longer has to work on."""
        if not owner.is_worked:
            load = self.load_of(owner.rep_id)
            load.open = max(0, load.open - 1)
            self.changed_loads.add(owner.rep_id)

    def claim_account(self, domain: str | None, rep_id: str, previous: str | None = None) -> None:
        """Make *rep_id* the owner of the company, if it has none that is still with us, or if the lead was moved away
        from that owner: the next lead of the company must not go back to who was too late."""
        if domain is None or domain not in self.accounts:
            return
        owner = self.accounts[domain]
        if owner is None or owner == previous or owner not in self.roster.reps:
            self.accounts[domain] = rep_id
            self.changed_accounts.add(domain)
