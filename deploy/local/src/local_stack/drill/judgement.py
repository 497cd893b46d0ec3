"""Judges what a restore left: pure, and knows nothing of how the services do it."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from local_stack.drill.evidence import Evidence
from local_stack.drill.traffic import Promise

NAMED = 3


class Story(NamedTuple):
    """What happened. ``kept``: promises that were on Kafka when the database was lost, and those given afterwards.
    ``lost``: promises given after the instant restored to that never reached Kafka. ``repeated``: deliveries of *kept*
    that were sent again, with what was promised then. ``withdrawn``: leads whose person said no after that instant."""

    kept: Sequence[Promise]
    lost: Sequence[Promise]
    repeated: Sequence[tuple[Promise, Promise]]
    withdrawn: frozenset[str]


def find_faults(story: Story, before: Evidence, after: Evidence) -> list[str]:
    """Return a sentence per broken promise. *before*: as everything was when the last event had been handled."""
    return [
        *_judge_ledger(after),
        *_judge_promises(story, before, after),
        *_judge_people(story, after),
        *_judge_owners(before, after),
        *_judge_callbacks(after),
        *_judge_withdrawn(story, before, after),
    ]


def _judge_ledger(after: Evidence) -> Iterator[str]:
    counted = Counter(row["state"] for row in after.records)
    counted["accepted"] = len(after.records)
    if dict(counted) != after.counters:
        yield f"the ledger counts {after.counters}, the records are {dict(counted)}"
    if sum(counted.values()) != 2 * counted["accepted"]:
        yield "the ledger does not balance"
    yield from _some("events are parked", (row["key"] for row in after.parked))


def _judge_promises(story: Story, before: Evidence, after: Evidence) -> Iterator[str]:
    lead_of = {row["record_id"]: row["lead_id"] for row in after.records}
    state_of = {row["record_id"]: row["state"] for row in after.records}
    leads = [one.record_id for one in story.kept if one.nature == "lead"]
    yield from _some("records were promised, were on Kafka and are gone", (r for r in leads if r not in lead_of))
    yield from _some(
        "records belong to another lead than before",
        (row["record_id"] for row in before.records
         if row["lead_id"] and lead_of.get(row["record_id"], row["lead_id"]) != row["lead_id"]),
    )  # fmt: skip
    yield from _some(
        "records came to another end than before",
        (row["record_id"] for row in before.records
         if row["nature"] == "lead" and state_of.get(row["record_id"], row["state"]) != row["state"]),
    )  # fmt: skip
    yield from _some("records were on no topic and are there all the same", (
        one.record_id for one in story.lost if one.record_id in lead_of
    ))  # fmt: skip

    # A browser gives its posts no key: a form that is posted again is a form filled in again.
    taken_twice = (one.record_id for one, again in story.repeated
                   if one.kind != "web_form" and one.record_id != again.record_id)  # fmt: skip
    yield from _some("deliveries that were sent again were not recognised", taken_twice)


def _judge_people(story: Story, after: Evidence) -> Iterator[str]:
    """A person who came several times is one lead, whatever was forgotten in between."""
    lead_of = {row["record_id"]: row["lead_id"] for row in after.records}
    leads: dict[str, set[str]] = defaultdict(set)
    for promise in story.kept:
        if lead_id := lead_of.get(promise.record_id):
            leads[promise.email].add(lead_id)
    yield from _some("people are several leads", (email for email, found in leads.items() if len(found) > 1))


def _judge_owners(before: Evidence, after: Evidence) -> Iterator[str]:
    was, now = before.running, after.running
    yield from _some("leads lost their owner", (lead for lead in was if lead not in now))
    yield from _some(
        "leads have another owner than before",
        (lead for lead in was if lead in now and now[lead]["assignment_id"] != was[lead]["assignment_id"]),
    )
    running = Counter(row["lead_id"] for row in after.assignments if row["is_running"])
    yield from _some("leads have several owners", (lead for lead, times in running.items() if times > 1))
    announced: dict[str, set[str]] = defaultdict(set)
    for one in after.announced:
        announced[one.assignment_id].add(one.event_id)
    known = {row["assignment_id"] for row in after.assignments}
    yield from _some("assignments were announced and do not exist", set(announced) - known)
    yield from _some("assignments exist and were not announced", known - set(announced))
    yield from _some(
        "assignments were announced as several events", (o for o, ids in announced.items() if len(ids) > 1)
    )


def _judge_callbacks(after: Evidence) -> Iterator[str]:
    contents: dict[str, set[str]] = defaultdict(set)
    ids: dict[str, set[str]] = defaultdict(set)
    owner_of: dict[str, str] = {}
    for told in after.told:
        contents[told.id].add(told.digest)
        if told.assignment_id is not None:
            ids[told.assignment_id].add(told.id)
            owner_of[told.lead_id] = told.assignment_id
    yield from _some("callbacks came with different contents", (o for o, seen in contents.items() if len(seen) > 1))
    yield from _some("assignments were told under several ids", (o for o, seen in ids.items() if len(seen) > 1))
    known = {row["assignment_id"] for row in after.assignments}
    yield from _some("callbacks are about assignments that do not exist", set(ids) - known)
    yield from _some(
        "leads have another owner than the CRM was told last",
        (lead for lead, row in after.running.items() if owner_of.get(lead) != row["assignment_id"]),
    )


def _judge_withdrawn(story: Story, before: Evidence, after: Evidence) -> Iterator[str]:
    yield from _some("leads said no and have an owner", story.withdrawn & set(after.running))
    known = {one.assignment_id for one in before.told}
    yield from _some(
        "leads said no and were given to somebody again",
        (one.lead_id for one in after.told
         if one.lead_id in story.withdrawn and one.assignment_id is not None and one.assignment_id not in known),
    )  # fmt: skip


def _some(what: str, ids: Iterable[str]) -> Iterator[str]:
    found = sorted(set(ids))
    if found:
        yield f"{len(found)} {what}, such as {', '.join(found[:NAMED])}"
