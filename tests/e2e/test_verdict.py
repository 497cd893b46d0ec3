"""The judge itself: it acquits what is right and names each broken promise that is planted."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from .checker.facts import Emitted, Handled, Refused, Seen
from .checker.handling import (
    ASSIGNED,
    CAPTURED,
    CLEARED,
    CONSENT_CHANGED,
    ENRICHED,
    QUALIFIED,
    RETAINED,
    SCORED,
    SLA_CHANGED,
)
from .damage import events_of, faults_of, move_behind, put, take
from .story import HOT, START, US_WITH_GRANT, VICE_PRESIDENT, Story, tell

HOUR = timedelta(hours=1)


def twin_of(story: Story, event_type: str) -> None:
    [event, *_] = events_of(story, event_type)
    story.evidence.events.append(replace(event, offset=9_999))


def test_what_is_right_is_acquitted() -> None:
    assert faults_of(tell(leads=2)) == []


@pytest.mark.parametrize("event_type", [CAPTURED, ENRICHED, SCORED, CLEARED, ASSIGNED, CONSENT_CHANGED, SLA_CHANGED])
def test_twin_of_an_event_is_no_fault(event_type: str) -> None:
    story = tell()
    twin_of(story, event_type)
    assert faults_of(story) == []


def test_twin_of_a_callback_and_a_second_2xx_of_the_same_delivery_are_no_fault() -> None:
    story = tell()
    story.evidence.received.append(story.evidence.received[0])
    story.promises.append(story.promises[0])
    story.attempts.append(next(one for one in story.attempts if one.kind == "zoom" and one.status))
    assert faults_of(story) == []


def test_event_that_waits_in_the_parking_table_is_where_it_belongs() -> None:
    story = tell()
    scored = story.come("parked", VICE_PRESIDENT, HOT)
    story.evidence.records[-1]["state"] = "parked"
    story.evidence.handled = [one for one in story.evidence.handled if one.event_id != scored.id]
    story.evidence.parked.append(("consent", "parked", scored.id))
    story.evidence.statements = [row for row in story.evidence.statements if row["lead_id"] != "parked"]
    story.end()
    assert faults_of(story) == []


# Each plants one fault into the evidence of seven leads; the key is in the sentence that must name it.
PLANTED: dict[str, Callable[[Story], object]] = {}


def planted(sentence: str) -> Callable[[Callable[[Story], object]], Callable[[Story], object]]:
    def keep(plant: Callable[[Story], object]) -> Callable[[Story], object]:
        PLANTED[sentence] = plant
        return plant

    return keep


def alter(table: str, sentence: str, where: dict[str, Any], **values: Any) -> None:
    """Plant a row that says something else."""
    PLANTED[sentence] = lambda story: take(getattr(story.evidence, table), **where).update(values)


def lose(table: str, sentence: str, **where: Any) -> None:
    """Plant the loss of a row."""
    PLANTED[sentence] = lambda story: getattr(story.evidence, table).remove(
        take(getattr(story.evidence, table), **where)
    )


# What was promised at the door.
lose("records", "answered with 2xx are unknown", lead_id="cold-0000")
lose("submissions", "answered with 2xx are not kept", submission_id="submission-001")
alter("submissions", "not kept as they were sent", {"submission_id": "submission-001"}, digest="other")
alter("records", "records are not what their sender was told", {"lead_id": "once-0000"}, nature="ignored")
lose("records", "submissions lack a record", nature="activity")
alter("records", "records are in no terminal state", {"lead_id": "cold-0000"}, state="lost")
alter("records", "records are in flight", {"lead_id": "cold-0000"}, state="in_flight")
alter("records", "the ledger counts", {"lead_id": "cold-0000"}, state="withheld")
alter("submissions", "records belong to no submission", {"submission_id": "submission-002"}, record_ids=[])
PLANTED["the ledger does not balance"] = lambda s: s.evidence.counters.update(accepted=99)
PLANTED["deliveries were answered with different ids"] = lambda s: s.attempts.append(
    next(one for one in s.attempts if one.kind == "zoom" and one.status)._replace(submission_id="other")
)
PLANTED["submissions were kept that nobody sent"] = lambda s: s.evidence.submissions.append(
    {"submission_id": "x", "source_kind": "zoom", "digest": "unknown", "record_ids": []}
)
PLANTED["records were captured several times"] = lambda s: s.publish(
    "leads.captured", CAPTURED, "once-0000", origin={"record_id": "record-001"}
)
PLANTED["records were captured that nobody sent"] = lambda s: s.publish(
    "leads.captured", CAPTURED, "once-0000", origin={"record_id": "record-999"}
)
PLANTED["records of a lead were not published"] = lambda s: s.evidence.events.remove(events_of(s, CAPTURED)[0])

PLANTED["records were captured with another address than was sent"] = lambda s: put(
    s, events_of(s, CAPTURED)[0], lead={"email": "other@acme.example"}
)
PLANTED["records were published as another lead's"] = lambda s: s.evidence.records.__setitem__(
    0, {**s.evidence.records[0], "lead_id": "twice-0000"}
)

# What consumers did.
PLANTED["events never reached scoring"] = lambda s: s.evidence.handled.remove(_handled(s, "scoring"))
PLANTED["events never reached sla-monitor"] = lambda s: s.evidence.handled.remove(_handled(s, "sla-monitor"))
PLANTED["events never reached ingest-ledger"] = lambda s: s.evidence.handled.remove(_handled(s, "ingest-ledger"))
PLANTED["events were caused and never published"] = lambda s: s.evidence.events.remove(events_of(s, ENRICHED)[0])
PLANTED["something left in their outbox"] = lambda s: s.evidence.unpublished.update(routing=1)
PLANTED["twins with another content"] = lambda s: s.evidence.events.append(
    replace(events_of(s, ASSIGNED)[0], raw=b'{"lead_id": "once-0000"}')
)
PLANTED["events are not what was recorded of them"] = lambda s: put(s, events_of(s, RETAINED)[0], score=1)
PLANTED["events have several causes"] = lambda s: s.evidence.handled.append(
    Handled("scoring", "again", s.tick(), _handled(s, "scoring").emitted)
)
PLANTED["events were published that no consumer recorded"] = lambda s: s.publish(
    "leads.routed", RETAINED, "once-0000", origin={"record_id": "record-001"}
)
PLANTED["keyed by another lead than they name"] = lambda s: put(s, events_of(s, ENRICHED)[0], lead_id="other")
PLANTED["cannot be read, and nobody kept them"] = lambda s: s.evidence.events.append(
    Seen("leads.captured", 0, 999, "x", "damaged", "?", b"\xff", ())
)


def _handled(story: Story, consumer: str) -> Handled:
    return next(one for one in story.evidence.handled if one.consumer == consumer)


@planted("leads were handled in another order by scoring")
def _(story: Story) -> None:
    second = [event for event in events_of(story, ENRICHED) if event.key == "twice-0000"][1]
    place = next(p for p, one in enumerate(story.evidence.handled) if one.event_id == second.id)
    story.evidence.handled[place] = story.evidence.handled[place]._replace(at=story.tick() - HOUR)


@planted("leads have their records in another order on leads.routed")
def _(story: Story) -> None:
    first, second = [event for event in events_of(story, ASSIGNED, RETAINED) if event.key == "twice-0000"]
    move_behind(story, first, second)


@planted("leads have their records in another order on leads.scored")
def _(story: Story) -> None:
    first, second = [event for event in events_of(story, SCORED) if event.key == "twice-0000"]
    move_behind(story, first, second)


@planted("events led to no decision")
def _(story: Story) -> None:
    [cleared, *_] = events_of(story, CLEARED)
    _emit(story, "routing", cleared)


@planted("events led to several decisions")
def _(story: Story) -> None:
    [cleared, *_] = events_of(story, CLEARED)
    story.nurture(cleared)


@planted("decisions say other things than what caused them")
def _(story: Story) -> None:
    first, second, *_ = events_of(story, ENRICHED)
    [scored, *_] = [event for event in events_of(story, SCORED) if event.key == second.key]
    _emit(story, "scoring", first, scored)


def _emit(story: Story, consumer: str, cause: Seen, *events: Seen) -> None:
    handled = story.evidence.handled
    place = next(p for p, one in enumerate(handled) if (one.consumer, one.event_id) == (consumer, cause.id))
    emitted = tuple(Emitted(one.topic, one.key, one.id, one.type, one.digest) for one in events)
    handled[place] = handled[place]._replace(emitted=emitted)


# Scores, made again.
def _score(**values: Any) -> Callable[[Story], object]:
    """Let scoring store and publish another score than the rules give."""

    def plant(story: Story) -> None:
        row = take(story.evidence.scores, lead_id="once-0000")
        row.update(values)
        [event] = [one for one in events_of(story, SCORED) if one.key == "once-0000"]
        put(story, event, score={**event.body["score"], **values})

    return plant


PLANTED["points that a replay does not reproduce"] = _score(points=82.0)
PLANTED["raw that a replay does not reproduce"] = _score(raw=84.0)
PLANTED["fit that a replay does not reproduce"] = _score(fit=52.0)
PLANTED["engagement that a replay does not reproduce"] = _score(engagement=29.0)
PLANTED["a grade that a replay does not reproduce"] = _score(grade="B")
PLANTED["an MQL against the model"] = _score(is_mql=False)
PLANTED["scores that were not judged (model 7 is not stored)"] = _score(model_version="7")
alter("scores", "scores that were decided and not published so", {"lead_id": "once-0000"}, points=83.005)
PLANTED["crossed the MQL threshold and nobody was told"] = lambda s: s.evidence.events.remove(
    events_of(s, QUALIFIED)[0]
)
PLANTED["were told to have crossed the MQL threshold"] = lambda s: put(s, events_of(s, QUALIFIED)[0], is_mql=False)
lose("scores", "scores that were published and not decided so", lead_id="once-0000")
alter("scores", "leads have records that were scored twice", {"record_id": "record-003"}, record_id="record-002")
alter("scores", "leads were scored without a record", {"lead_id": "once-0000"}, trigger="decay")
alter("activities", "activities that nobody reported", {"lead_id": "once-0000"}, activity_id="record-999:demo_request")


lose("activities", "leads have activities that were not kept", lead_id="twice-0000")


@planted("leads were scored in another order than their records came in")
def _(story: Story) -> None:
    scores = story.evidence.scores
    first, second = [place for place, row in enumerate(scores) if row["lead_id"] == "twice-0000"]
    scores[first], scores[second] = scores[second], scores[first]


# Consent, decided again.
lose("statements", "consent decisions that a replay does not reproduce", lead_id="once-0000", state="given")
alter("statements", "not in the ledger as they were made", {"lead_id": "once-0000", "state": "given"}, state="refused")
alter("verdicts", "consent verdicts are not what was decided", {"lead_id": "cold-0000"}, table_version="2")
alter("verdicts", "not judged (rule table 7 is not stored)", {"lead_id": "withdrawn-0000"}, table_version="7")
alter("verdicts", "not judged (purpose marketing)", {"lead_id": "once-0000"}, purpose="marketing")
lose("verdicts", "consent verdicts were published that nobody decided", lead_id="once-0000")
alter(
    "verdicts", "closed, or open, against the suppression list", {"lead_id": "cold-0000"}, suppressed_channels=["sms"]
)
lose("statements", "changes of consent were published that nobody made", state="withdrawn")
PLANTED["leads have channels closed, or open, against the suppression list"] = lambda s: s.evidence.suppressed.append(
    {"lead_id": "once-0000", "channels": ["email"], "added_at": s.evidence.statements[0]["known_at"] - HOUR}
)
PLANTED["decisions about a score that was not published"] = lambda s: s.evidence.events.remove(events_of(s, SCORED)[0])


@planted("leads have an owner and may not be contacted")
def _(story: Story) -> None:
    scored = next(event for event in events_of(story, SCORED) if event.key == "once-0000")
    story.judge(scored, dict.fromkeys(US_WITH_GRANT, (False, "WITHDRAWAL")), caused_by="")


alter("statements", "statements about consent that nobody decided on", {"state": "withdrawn"}, known_at=START + HOUR)
PLANTED["withdrawals and objections were not told"] = lambda s: s.evidence.events.remove(
    events_of(s, CONSENT_CHANGED)[0]
)
PLANTED["changes of consent were told against what was decided"] = lambda s: put(
    s, events_of(s, CONSENT_CHANGED)[0], may_contact=True
)

# Owners.
alter("records", "another state than their decision", {"lead_id": "cold-0000"}, state="withheld")
alter("records", "counted as assigned and have no owner", {"lead_id": "cold-0000"}, state="assigned")
alter("records", "have an owner and are not counted as assigned", {"lead_id": "once-0000"}, state="nurtured")
alter("records", "records are parked and decided", {"lead_id": "cold-0000"}, state="parked")
PLANTED["decisions are about records nobody sent"] = lambda s: s.publish(
    "leads.routed", RETAINED, "once-0000", origin={"record_id": "record-999"}
)
PLANTED["leads have two owners"] = lambda s: s.evidence.assignments.append(
    {**s.evidence.assignments[0], "assignment_id": "other"}
)
PLANTED["leads have several owners by one decision"] = PLANTED["leads have two owners"]
PLANTED["several assignments that do not follow each other"] = PLANTED["leads have two owners"]
lose("assignments", "leads have no owner where a decision says so", lead_id="once-0000")
lose("assignments", "announced assignments do not exist", lead_id="active-0000")
alter("assignments", "leads have lost their owner", {"lead_id": "once-0000"}, ended_at="now", end_reason="sla:x")
alter("assignments", "owners and decisions that do not match", {"lead_id": "once-0000"}, decision_id="decision-999")
alter("routings", "a decision says that nobody gets them", {"lead_id": "once-0000"}, outcome="nurtured")
alter("assignments", "announcements name another owner", {"lead_id": "once-0000"}, rep_id="emi")
alter(
    "assignments",
    "withdrawn assignments were not announced once",
    {"lead_id": "once-0000"},
    end_reason="consent_withdrawn",
)
alter("assignments", "announced as withdrawn and are not", {"lead_id": "withdrawn-0000"}, end_reason="sla:x")
PLANTED["assignments were not announced"] = lambda s: s.evidence.events.remove(events_of(s, ASSIGNED)[0])
PLANTED["assigned without a consent decision that allows it"] = lambda s: put(
    s, events_of(s, ASSIGNED)[0], verdict={"decision_id": "verdict-999"}
)


@planted("assignments were announced as several events")
def _(story: Story) -> None:
    body = {**events_of(story, ASSIGNED)[0].body}
    story.publish("leads.routed", ASSIGNED, body.pop("lead_id"), **body)


alter("routings", "decisions of routing that were not told so", {"lead_id": "cold-0000"}, outcome="fallback_queue")
lose("routings", "outcomes of routing that nobody decided", lead_id="cold-0000")


# Callbacks.
def _callback(**values: Any) -> dict[str, Any]:
    data = {"lead_id": "once-0000", "assignment": {"assignment_id": "assignment-001"}, "owner": {"rep_id": "carol"}}
    body = {"type": "lead.assigned", "data": {**data, **values.pop("data", {})}}
    return {"id": "callback-001", "digest": "other", "body": body, **values}


PLANTED["callbacks came with different contents"] = lambda s: s.evidence.received.append(_callback())
alter("sent", "callbacks are not what was written", {"callback_id": "callback-001"}, digest="other")
PLANTED["told under several ids"] = lambda s: s.evidence.received.append(_callback(id="callback-999"))
PLANTED["callbacks were sent that nobody wrote"] = PLANTED["told under several ids"]
PLANTED["callbacks are about no assignment"] = lambda s: s.evidence.received.append(
    _callback(data={"assignment": {"assignment_id": "assignment-999"}})
)
PLANTED["callbacks name another owner"] = lambda s: s.evidence.received.append(
    _callback(data={"owner": {"rep_id": "x"}})
)
PLANTED["callbacks are delivered and never came"] = lambda s: s.evidence.received.pop()
PLANTED["running assignments are unknown to the CRM"] = lambda s: s.evidence.received.pop(0)
PLANTED["withdrawn assignments were never told"] = lambda s: s.evidence.received.pop()
alter("sent", "callbacks are pending", {"callback_id": "callback-001"}, state="pending")
alter("sent", "callbacks were given up", {"callback_id": "callback-001"}, state="failed")

# Deadlines.
lose("clocks", "assignments have no clock", clock_id="assignment-001.first_touch")
lose("clocks", "no closed clock of their assignment", clock_id="record-001.assign")
lose("clocks", "changes were told of clocks that do not exist", clock_id="record-002.assign")
alter("clocks", "deadlines passed and nobody noticed", {"clock_id": "assignment-001.first_touch"}, is_overdue=True)
alter("clocks", "a state that was not told", {"clock_id": "record-001.assign"}, state="breached")
alter("clocks", "against what became of it", {"clock_id": "record-001.assign"}, met_at=None)
PLANTED["changes of clocks were told twice"] = lambda s: s.publish(
    "leads.sla", SLA_CHANGED, "once-0000", clock_id="record-001.assign", state="met"
)
PLANTED["under assignments that are not theirs"] = lambda s: put(
    s, events_of(s, SLA_CHANGED)[0], assignment_id="assignment-001"
)
PLANTED["clocks run twice"] = lambda s: s.evidence.clocks.append(s.evidence.clocks[0])
PLANTED["clocks never started"] = lambda s: s.evidence.events.remove(events_of(s, SLA_CHANGED)[0])


@pytest.mark.parametrize("sentence", PLANTED)
def test_planted_fault_is_named(sentence: str) -> None:
    story = tell()
    PLANTED[sentence](story)
    assert [fault for fault in faults_of(story) if sentence in fault] != [], faults_of(story)


def test_damaged_event_that_was_kept_is_no_fault() -> None:
    story = tell()
    story.evidence.events.append(Seen("leads.captured", 0, 999, "x", "damaged", "?", b"\xff", ()))
    story.evidence.undecodable.append(Refused("ingest-enrich", "leads.captured", 0, 999))
    assert faults_of(story) == []
