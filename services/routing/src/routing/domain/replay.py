"""Makes a recorded decision again from its trace, to prove that the trace is complete and the rules deterministic."""

from dataclasses import dataclass

from routing.domain.decide import match_rule
from routing.domain.distribution import Member, choose_rep
from routing.domain.document import RoutingDocument
from routing.domain.trace import Trace


@dataclass(frozen=True, slots=True)
class Replayed:
    """What the trace's inputs lead to under a document: the rule that matches, and who would get the lead."""

    rule_id: str | None
    rep_id: str | None


def replay_trace(trace: Trace, document: RoutingDocument) -> Replayed | None:
    """Return what *document* makes of the recorded inputs and counters; None if the decision needed no rule.

    With the document of the recorded version the result is the recorded decision. With another one, ``rep_id`` is
    None where the lead would fall into another pool: that pool's counters were not recorded.
    """
    if trace.settled_by not in {"rules", "pool"}:
        return None
    needed = {field.name: trace.inputs.get(field.name) for field in document.fields}
    rule = match_rule(document, needed).rule
    if rule is None:
        return Replayed(None, None)
    if rule.pool_id != trace.pool:
        return Replayed(rule.rule_id, None)
    able = {None, "later_turn"}
    eligible = tuple(Member(m.rep_id, m.weight) for m in trace.members if m.lost_because in able)
    if not eligible:
        return Replayed(rule.rule_id, None)
    balances = {member.rep_id: member.balance for member in trace.members}
    return Replayed(rule.rule_id, choose_rep(balances, sum(m.weight for m in trace.members), eligible).rep_id)
