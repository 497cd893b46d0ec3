"""Routing decisions, pure: a lead's case and the desk in, a decision with its trace out. The first step that settles
it wins: consent, existing owner, nurture, account owner, rules, pool."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from routing.domain.decision import Assign, Decision, Hold, Move, Nurture, Queue, QueueReason, Retain, Tenure
from routing.domain.desk import Desk, LeadFile
from routing.domain.distribution import Choice, Member, Standing, choose_rep
from routing.domain.document import Crew, RoutingDocument, Rule
from routing.domain.fields import Inputs, read_inputs
from routing.domain.roster import Absence, cap_reached
from routing.domain.trace import AccountTried, MemberReason, MemberTried, RuleTried, Step, Trace
from shared.contracts import Facts, LeadCleared

ACCOUNT_OWNER = "account_owner"
"""Stands for rule and pool of a lead that went to its company's owner. Such a lead moves no pool's balances."""


@dataclass(frozen=True, slots=True)
class Matched:
    """Which rule a lead falls under (None: none), and why the earlier ones did not."""

    rule: Rule | None
    tried: tuple[RuleTried, ...]


@dataclass(frozen=True, slots=True)
class Picked:
    """Who of a pool gets a lead (None: nobody, for ``reason``), and how each member fared."""

    rep_id: str | None
    reason: QueueReason | None
    members: tuple[MemberTried, ...]
    eligible: tuple[Member, ...]
    is_out_of_hours: bool


def route_lead(case: LeadCleared, file: LeadFile, desk: Desk) -> Decision:
    """Decide on a cleared lead and move the desk's counters on."""
    if file.is_blocked(case.verdict.decided_at):
        return Hold(_trace(desk, "consent", "consent_withdrawn_after_the_verdict"))
    if file.owner is not None:
        if file.owner.rep_id not in desk.roster.reps:
            return _replace_owner(case, file.owner, desk)
        return Retain(file.owner, _trace(desk, "existing_owner", "has_an_owner"))
    if desk.document.has_nurture and not case.score.is_mql:
        return Nurture(_trace(desk, "nurture", "below_mql_threshold"))
    account = _try_account(case.facts, desk)
    if account is not None and account.lost_because is None:
        desk.give(account.rep_id)
        trace = _trace(desk, "account_owner", "owner_of_the_company", account=account)
        return Assign(account.rep_id, ACCOUNT_OWNER, ACCOUNT_OWNER, "account_owner", trace)
    return _by_rules(case, desk, account, None)


def move_lead(case: LeadCleared, owner: Tenure, reason: str, desk: Desk) -> Decision:
    """Decide who gets a lead that its owner did not work in time: anybody but the owner, by the rules of now.
    If there is nobody else it stays: a late owner is better than none."""
    decision = _by_rules(case, desk, None, owner.rep_id)
    if not isinstance(decision, Assign):
        return Retain(owner, decision.trace)
    desk.relieve(owner)
    return Move(owner, decision.rep_id, decision.pool, decision.rule_id, "sla", reason, decision.trace)


def _replace_owner(case: LeadCleared, owner: Tenure, desk: Desk) -> Decision:
    """Give a lead that came back, and whose owner was removed, to somebody who is there; else it stays as it is."""
    decision = _by_rules(case, desk, None, owner.rep_id)
    if not isinstance(decision, Assign):
        return Retain(owner, _trace(desk, "existing_owner", "owner_left_and_nobody_else"))
    desk.relieve(owner)
    return Move(owner, decision.rep_id, decision.pool, decision.rule_id, "rule", "owner_left", decision.trace)


def place_lead(file: LeadFile, rep_id: str, reason: str, desk: Desk) -> Assign | Move:
    """Give a lead to the rep a person chose. Caps, hours and pools do not bind a person; counters are kept."""
    desk.give(rep_id)
    trace = _trace(desk, "person", "chosen_by_a_person")
    if file.owner is None:
        return Assign(rep_id, "manual", "manual", "person", trace)
    desk.relieve(file.owner)
    return Move(file.owner, rep_id, "manual", "manual", "person", reason, trace)


def match_rule(document: RoutingDocument, inputs: Inputs) -> Matched:
    """Return the first rule whose condition holds for *inputs*."""
    tried = []
    for rule in document.rules:
        lost_because = rule.check(inputs)
        tried.append(RuleTried(rule.rule_id, rule.pool_id, lost_because))
        if lost_because is None:
            return Matched(rule, tuple(tried))
    return Matched(None, tuple(tried))


def account_domain(facts: Facts) -> str | None:
    """Return the domain that stands for the lead's company. A mailbox at a free or disposable provider has none."""
    return facts.company_domain if facts.email_kind not in {"free", "disposable"} else None


def pools_of(cases: Sequence[LeadCleared], document: RoutingDocument) -> set[str]:
    """Return the pools that *cases* can fall into: what has to be locked before deciding."""
    pools = set()
    for case in cases:
        rule = match_rule(document, read_inputs(document.fields, case)).rule
        if rule is not None:
            pools.add(rule.pool_id)
    return pools


def _by_rules(case: LeadCleared, desk: Desk, account: AccountTried | None, excluded: str | None) -> Assign | Queue:
    inputs = read_inputs(desk.document.fields, case)
    matched = match_rule(desk.document, inputs)
    common: dict[str, Any] = {
        "inputs": inputs, "rules": matched.tried, "account": account, "excluded_rep_id": excluded,
    }  # fmt: skip
    rule = matched.rule
    if rule is None:
        return Queue("no_rule", None, _trace(desk, "rules", "no_rule", **common))
    crew = desk.crew(desk.document.pools[rule.pool_id])
    picked = pick_member(crew, desk, excluded)
    common |= {
        "pool": crew.pool_id, "when_closed": crew.when_closed, "members": picked.members,
        "is_out_of_hours": picked.is_out_of_hours,
    }  # fmt: skip
    if picked.rep_id is None:
        reason: QueueReason = picked.reason or "nobody_available"
        return Queue(reason, rule.rule_id, _trace(desk, "pool", reason, **common))
    desk.take_from_pool(crew, picked.eligible, picked.rep_id)
    desk.give(picked.rep_id)
    trace = _trace(desk, "pool", "turn_of_the_member", **common)
    return Assign(picked.rep_id, crew.pool_id, rule.rule_id, "rule", trace)


def pick_member(crew: Crew, desk: Desk, excluded: str | None) -> Picked:
    """Return whose turn it is in *crew*. Nothing is charged yet."""
    absences = [_absence(member.rep_id, desk, excluded) for member in crew.members]
    pairs = tuple(zip(crew.members, absences, strict=True))
    eligible = tuple(member for member, absence in pairs if absence is None)
    is_out_of_hours = False
    if not eligible:
        closed = tuple(member for member, absence in pairs if absence == "outside_working_hours")
        if closed and crew.when_closed == "assign_anyway":
            eligible, is_out_of_hours = closed, True
        else:
            nobody: QueueReason = "nobody_available" if crew.members else "empty_pool"
            reason: QueueReason = "outside_working_hours" if closed else nobody
            return Picked(None, reason, _members_tried(crew, desk, absences, None), (), False)
    choice = choose_rep(desk.balances.get(crew.pool_id, {}), crew.total_weight, eligible)
    return Picked(choice.rep_id, None, _members_tried(crew, desk, absences, choice), eligible, is_out_of_hours)


def _absence(rep_id: str, desk: Desk, excluded: str | None) -> Absence | None:
    if rep_id == excluded:
        return "previous_owner"
    absence = desk.roster.absence(rep_id, desk.now)
    if absence is not None and absence != "outside_working_hours":
        return absence
    # A cap binds at any hour: it is asked before the hours, so that out of hours nobody gets more than that.
    rep = desk.roster.reps[rep_id]
    if rep.max_open is None and rep.max_per_day is None:
        return absence
    return cap_reached(rep, desk.load_of(rep_id), desk.roster.day_of(rep_id, desk.now)) or absence


def _members_tried(
    crew: Crew, desk: Desk, absences: Sequence[Absence | None], choice: Choice | None
) -> tuple[MemberTried, ...]:
    balances = desk.balances.get(crew.pool_id, {})
    standings: Mapping[str, Standing] = choice.standings if choice is not None else {}
    chosen = choice.rep_id if choice is not None else None
    tried = []
    for member, absence in zip(crew.members, absences, strict=True):
        rep_id = member.rep_id
        load, balance = desk.load_of(rep_id), balances.get(rep_id, 0)
        today = load.given_on(desk.roster.day_of(rep_id, desk.now)) if load.given else 0
        standing = standings.get(rep_id)
        if standing is None:
            tried.append(MemberTried(rep_id, member.weight, balance, load.open, today, absence))
        else:
            lost: MemberReason | None = None if rep_id == chosen else "later_turn"
            behind, deadline = standing.behind, standing.deadline
            tried.append(MemberTried(rep_id, member.weight, balance, load.open, today, lost, behind, deadline))
    missing = (MemberTried(rep_id, 0, 0, 0, 0, "unknown_rep") for rep_id in crew.missing)
    return (*tried, *missing)


def _try_account(facts: Facts, desk: Desk) -> AccountTried | None:
    domain = account_domain(facts)
    if not desk.document.has_account_owner or domain is None:
        return None
    rep_id = desk.accounts.get(domain)
    if rep_id is None:
        return None
    absence = _absence(rep_id, desk, None)
    if absence == "outside_working_hours" and desk.document.when_closed == "assign_anyway":
        absence = None
    return AccountTried(rep_id, absence)


def _trace(desk: Desk, settled_by: Step, reason: str, **seen: Any) -> Trace:
    return Trace(
        decided_at=desk.now,
        document_version=desk.document_version,
        roster_version=desk.roster.version,
        settled_by=settled_by,
        reason=reason,
        **seen,
    )


def encode_trace(trace: Trace) -> bytes:
    """Return *trace* as JSON."""
    return _ENCODER.encode(trace)


def decode_trace(data: bytes) -> Trace:
    """Return what `encode_trace` was given."""
    return _DECODER.decode(data)


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Trace)
