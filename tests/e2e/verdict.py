"""The judge: were the promises kept? Pure, and shares no code with what it judges."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence

from .evidence import Evidence, Seen
from .traffic import Promise

STATE_OF = {
    "leadrail.lead.assigned.v1": "assigned",
    "leadrail.lead.retained.v1": "assigned",
    "leadrail.lead.unassigned.v1": "unassigned",
    "leadrail.lead.nurtured.v1": "nurtured",
    "leadrail.lead.withheld.v1": "withheld",
}
ASSIGNED = "leadrail.lead.assigned.v1"
# A record's way: each topic carries one event about it, in the order in which its lead's records came.
WAY = ("leads.captured", "leads.enriched", "leads.scored", "leads.consented", "leads.routed")
NAMED = 4


def find_unfinished(promises: Sequence[Promise], evidence: Evidence) -> list[str]:
    """Return what is still on its way: nobody may judge yet."""
    state_of = {row["record_id"]: row["state"] for row in evidence.records}
    clocks = {row["clock_id"] for row in evidence.clocks if row["stage"] == "first_touch" or row["closed_at"]}
    told = {one["body"]["data"].get("assignment", {}).get("assignment_id") for one in evidence.received}
    assignments = [row["assignment_id"] for row in evidence.assignments]
    leads = [promise.record_id for promise in promises if promise.nature == "lead"]
    return [
        *_some(
            "records that were answered with 2xx are unknown",
            (p.record_id for p in promises if p.record_id not in state_of),
        ),
        *_some("records are in flight", (one for one, state in state_of.items() if state == "in_flight")),
        *_some("callbacks are pending", (row["callback_id"] for row in evidence.sent if row["state"] == "pending")),
        *_some("assignments are unknown to the CRM", (one for one in assignments if one not in told)),
        *_some("assignments have no clock", (one for one in assignments if f"{one}.first_touch" not in clocks)),
        *_some("records have no closed clock of their assignment", (r for r in leads if f"{r}.assign" not in clocks)),
    ]


def find_faults(promises: Sequence[Promise], evidence: Evidence) -> list[str]:
    """Return a sentence per broken promise."""
    return [
        *find_unfinished(promises, evidence),
        *_judge_ledger(evidence),
        *_judge_records(promises, evidence),
        *_judge_owners(evidence),
        *_judge_callbacks(evidence),
        *_judge_twins(evidence.events),
        *_judge_order(evidence.events),
    ]


def _judge_ledger(evidence: Evidence) -> Iterator[str]:
    counted = Counter(row["state"] for row in evidence.records)
    counted["accepted"] = len(evidence.records)
    if dict(counted) != evidence.counters:
        yield f"the ledger counts {evidence.counters}, the records are {dict(counted)}"
    if sum(counted.values()) != 2 * counted["accepted"]:
        yield "the ledger does not balance"


def _judge_records(promises: Sequence[Promise], evidence: Evidence) -> Iterator[str]:
    """Every record of a lead has exactly one decision, and the ledger says the same of it."""
    decisions: dict[str, dict[str, str]] = defaultdict(dict)
    for event in evidence.events:
        if event.type in STATE_OF:
            is_withdrawn = event.body.get("reason") == "consent_withdrawn"
            state = "withheld" if is_withdrawn else STATE_OF[event.type]
            decisions[event.body["origin"]["record_id"]][event.id] = state
    rows = {row["record_id"]: row for row in evidence.records}
    wanted = {promise.record_id for promise in promises if promise.nature == "lead"}
    wanted |= {row["record_id"] for row in evidence.records if row["nature"] == "lead"}
    yield from _some("records have no decision", (one for one in wanted if not decisions[one]))
    yield from _some("records have several decisions", (one for one in wanted if len(decisions[one]) > 1))
    yield from _some(
        "records are in another state than their decision says",
        (one for one in wanted if one in rows and rows[one]["state"] not in {*decisions[one].values(), "in_flight"}),
    )
    yield from _some("decisions are about records nobody sent", (one for one in decisions if one not in rows))


def _judge_owners(evidence: Evidence) -> Iterator[str]:
    """Each lead that was assigned has one assignment, one owner, one announcement of it."""
    owners = Counter(row["lead_id"] for row in evidence.assignments)
    yield from _some("leads have several assignments", (one for one, times in owners.items() if times > 1))
    running = Counter(row["lead_id"] for row in evidence.assignments if row["ended_at"] is None)
    yield from _some("leads have lost their owner", (one for one in owners if not running[one]))
    announced: dict[str, set[str]] = defaultdict(set)
    for event in evidence.events:
        if event.type == ASSIGNED:
            announced[event.body["owner"]["assignment_id"]].add(event.id)
    known = {row["assignment_id"] for row in evidence.assignments}
    yield from _some("assignments were not announced", (one for one in known if not announced[one]))
    yield from _some("assignments were announced as several events", (o for o in known if len(announced[o]) > 1))
    yield from _some("announced assignments do not exist", set(announced) - known)


def _judge_callbacks(evidence: Evidence) -> Iterator[str]:
    contents: dict[str, set[str]] = defaultdict(set)
    ids: dict[str, set[str]] = defaultdict(set)
    for one in evidence.received:
        contents[one["id"]].add(one["digest"])
        if one["body"]["type"] == "lead.assigned":
            ids[one["body"]["data"]["assignment"]["assignment_id"]].add(one["id"])
    yield from _some("callbacks came with different contents", (o for o, bodies in contents.items() if len(bodies) > 1))
    yield from _some("assignments were told under several ids", (one for one, known in ids.items() if len(known) > 1))
    known = {row["assignment_id"] for row in evidence.assignments}
    yield from _some("callbacks are about no assignment", set(ids) - known)
    yield from _some(
        "callbacks were sent that nobody wrote", set(contents) - {row["callback_id"] for row in evidence.sent}
    )


def _judge_twins(events: Sequence[Seen]) -> Iterator[str]:
    """An event that was published again is the same to the byte."""
    contents: dict[str, set[tuple[str, str, bytes]]] = defaultdict(set)
    for event in events:
        contents[event.id].add((event.topic, event.key, event.raw))
    yield from _some("events have twins with another content", (o for o, seen in contents.items() if len(seen) > 1))


def _judge_order(events: Sequence[Seen]) -> Iterator[str]:
    """The records of one lead pass every topic in the order in which they came; twins of old events are no matter."""
    orders: dict[str, dict[str, list[str]]] = {topic: defaultdict(list) for topic in WAY}
    for event in events:
        if event.topic in orders and "origin" in event.body:
            order, record_id = orders[event.topic][event.key], event.body["origin"]["record_id"]
            if record_id not in order:
                order.append(record_id)
    for topic in WAY[1:]:
        yield from _some(
            f"leads have their records in another order on {topic}",
            (
                lead_id
                for lead_id, order in orders[topic].items()
                if order != [one for one in orders["leads.captured"][lead_id] if one in order]
            ),
        )


def _some(what: str, ids: Iterable[str]) -> Iterator[str]:
    found = sorted(ids)
    if found:
        yield f"{len(found)} {what}, such as {', '.join(found[:NAMED])}"
