"""Evidence of leads that went well, made step by step. The numbers are worked out by hand from the shipped rules."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from importlib.resources import files
from typing import Any

from .checker.facts import Attempt, Emitted, Evidence, Handled, Promise, Seen
from .checker.handling import (
    ACTIVITY,
    ASSIGNED,
    CAPTURED,
    CLEARED,
    CONSENT_CHANGED,
    ENRICHED,
    NURTURED,
    QUALIFIED,
    REASSIGNED,
    RETAINED,
    SCORED,
    SLA_CHANGED,
    UNASSIGNED,
    WITHHELD,
    readers_of,
)

START = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
STEP = timedelta(milliseconds=10)
VICE_PRESIDENT = {
    "lead": {
        "email": "dana@acme.example", "phone": "+14155550123", "country": "US", "title": "VP Sales", "employees": 500,
        "industry": "Software",
    },
    "facts": {"seniority": "vp", "subject_kind": "corporate", "email_kind": "business"},
}  # fmt: skip
# Title 22, size 16, industry 15; a demo request 30.
HOT = {"fit": 53.0, "engagement": 30.0, "points": 83.0, "raw": 83.0, "grade": "A", "is_mql": True}
INTERN: dict[str, Any] = {
    "lead": {"email": "sam@shop.example", "country": "US", "title": "Intern", "employees": 80, "industry": "Retail"},
    "facts": {"subject_kind": "corporate"},
}
# Size 12, industry 8; a webinar registration 5.
COLD = {"fit": 20.0, "engagement": 5.0, "points": 25.0, "raw": 25.0, "grade": "C", "is_mql": False}
GRANT = {
    "state": "given", "purposes": ["sales_contact", "marketing"], "channels": ["email", "phone"],
    "method": "web_form", "notice_version": "2026-11",
}  # fmt: skip
YES, NO = True, False
US_WITH_GRANT = {"email": (YES, "US-CANSPAM"), "phone": (YES, "US-TCPA"), "sms": (NO, "US-TCPA")}
US_NO_PHONE = {"email": (YES, "US-CANSPAM"), "phone": (NO, "DEFAULT-DENY"), "sms": (NO, "DEFAULT-DENY")}
DE_WITHOUT_GRANT = {"email": (NO, "DE-UWG"), "phone": (NO, "DEFAULT-DENY"), "sms": (NO, "DEFAULT-DENY")}
WITHDRAWN = dict.fromkeys(("email", "phone", "sms"), (NO, "WITHDRAWAL"))


def _document(package: str, name: str) -> str:
    return files(package).joinpath(f"defaults/{name}").read_text("utf-8")


class Story:
    """Tells of one lead after the other; ``evidence`` is what is left of it."""

    def __init__(self) -> None:
        self.evidence = Evidence(
            [], {}, [], [], [], [], unpublished={"routing": 0},
            documents={
                ("scoring_model", "1"): _document("scoring", "model.yaml"),
                ("consent_rules", "1"): _document("consent", "rules.yaml"),
            },
        )  # fmt: skip
        self.promises: list[Promise] = []
        self.attempts: list[Attempt] = []
        self._now = START
        self._numbers: Counter[str] = Counter()
        self._unheard: list[dict[str, Any]] = []
        self._scored: dict[str, Seen] = {}

    def tick(self) -> datetime:
        self._now += STEP
        return self._now

    def number(self, what: str) -> str:
        """Return an id that sorts after the earlier ones of its sort."""
        self._numbers[what] += 1
        return f"{what}-{self._numbers[what]:03}"

    def publish(self, topic: str, event_type: str, key: str, /, **body: Any) -> Seen:
        """Put an event on its topic; each of its readers handles it, and causes nothing yet."""
        offset = self._numbers[topic]
        self._numbers[topic] += 1
        stamp = [("ce_time", self.tick().isoformat().encode())]
        raw = json.dumps({"lead_id": key, **body}).encode()
        event = Seen(topic, 0, offset, key, self.number("event"), event_type, raw, tuple(stamp))
        self.evidence.events.append(event)
        for consumer in readers_of(event):
            self.evidence.handled.append(Handled(consumer, event.id, self.tick()))
        return event

    def cause(self, consumer: str, cause: Seen, *events: Seen) -> None:
        """Say that *consumer* caused *events* when it handled *cause*."""
        emitted = tuple(Emitted(one.topic, one.key, one.id, one.type, one.digest) for one in events)
        handled = self.evidence.handled
        for place, one in enumerate(handled):
            if (one.consumer, one.event_id) == (consumer, cause.id):
                handled[place] = one._replace(emitted=one.emitted + emitted)

    def come(
        self, lead: str, who: dict[str, Any], numbers: dict[str, Any], *, kind: str = "web_form", has_grant: bool = YES
    ) -> Seen:
        """Let *lead* send a submission that is kept, captured, enriched and scored; return the score's event."""
        record_id, submission_id = self.number("record"), self.number("submission")
        body = f"{lead} {record_id}".encode()
        digest = sha256(body).hexdigest()
        self.attempts += [Attempt(kind, digest, 0), Attempt(kind, digest, 200, submission_id, (record_id,))]
        self.promises.append(Promise(record_id, submission_id, kind, "lead", lead, who["lead"]["email"], digest))
        row = {"submission_id": submission_id, "source_kind": kind, "digest": digest, "record_ids": [record_id]}
        self.evidence.submissions.append(row)
        self.evidence.records.append(
            {"record_id": record_id, "lead_id": lead, "nature": "lead", "state": "?", "submission_id": submission_id}
        )
        now = self.tick()
        deed = "demo_request" if kind == "web_form" else "webinar_registration"
        common: dict[str, Any] = {
            "origin": {"record_id": record_id, "source_kind": kind}, "activities": [deed], "consent": [],
        }  # fmt: skip
        if has_grant:
            common["consent"] = [{**GRANT, "at": now.isoformat()}]
        captured = self.publish("leads.captured", CAPTURED, lead, **common, lead=who["lead"])
        enriched = self.publish("leads.enriched", ENRICHED, lead, **common, **who)
        self.cause("ingest-enrich", captured, enriched)
        self._do(lead, f"{record_id}:{deed}", deed, now)
        scored = self._score(lead, who, numbers, "submission", common)
        self.cause("scoring", enriched, scored)
        if has_grant:
            self._say(lead, f"{record_id}/0", now, **GRANT)
        if kind == "web_form":
            self._say(lead, f"{record_id}/inquiry", now, state="inquiry", method="activity")
        self.clock(f"{record_id}.assign", "assign", lead)
        return scored

    def act(self, lead: str, kind: str, numbers: dict[str, Any]) -> Seen:
        """Let a known lead do something; return the event of its new score."""
        record_id, submission_id = self.number("record"), self.number("submission")
        self.promises.append(Promise(record_id, submission_id, "api", "activity", lead, "", "body"))
        row = {"submission_id": submission_id, "source_kind": "api", "digest": "body", "record_ids": [record_id]}
        self.evidence.submissions.append(row)
        self.evidence.records.append(
            {"record_id": record_id, "lead_id": lead, "nature": "activity", "state": "activity",
             "submission_id": submission_id}
        )  # fmt: skip
        now = self.tick()
        activity = self.publish(
            "leads.activity", ACTIVITY, lead, activity_id=record_id, kind=kind, origin={"record_id": record_id}
        )
        self._do(lead, record_id, kind, now)
        before = self._scored[lead].body
        scored = self._score(lead, before, numbers, "activity", {"origin": before["origin"]})
        self.cause("scoring", activity, scored)
        return scored

    def judge(
        self,
        scored: Seen,
        answers: dict[str, tuple[bool, str]],
        caused_by: str = "consent",
        at: datetime | None = None,
    ) -> Seen:
        """Let consent decide about a score; return its event. ``caused_by`` "": nothing is told."""
        decision_id, now = self.number("verdict"), at or self.tick()
        for row in self._unheard:
            row["known_at"] = now
        self._unheard = []
        channels = {name: {"is_allowed": yes, "rule_id": rule} for name, (yes, rule) in answers.items()}
        self.evidence.verdicts.append(
            {"lead_id": scored.key, "decision_id": decision_id, "decided_at": now, "table_version": "1",
             "purpose": "sales_contact", "suppressed_channels": [], "channels": channels}
        )  # fmt: skip
        allowed = [name for name, (yes, _) in answers.items() if yes]
        if not caused_by:
            return scored
        verdict = {
            "decision_id": decision_id, "channels": allowed, "table_version": "1", "decided_at": now.isoformat()
        }  # fmt: skip
        told = self.publish(
            "leads.consented", CLEARED if allowed else WITHHELD, scored.key, verdict=verdict,
            **{name: scored.body[name] for name in ("origin", "score", "trigger")},
        )  # fmt: skip
        self.cause(caused_by, scored, told)
        if not allowed:
            self._settle(told, "withheld")
        return told

    def give(self, cleared: Seen, rep: str) -> str:
        """Let routing assign a lead; return the assignment."""
        return self._own(cleared, cleared, "routing", ASSIGNED, "assigned", rep)

    def move(self, cleared: Seen, rep: str) -> str:
        """Let a missed deadline move a lead to another rep; return the assignment."""
        before = self.evidence.assignments[-1]
        before |= {"ended_at": self.tick(), "end_reason": "sla:hasty:first_touch"}
        clock_id = f"{before['assignment_id']}.first_touch"
        breach = self.change(clock_id, "breached", cleared.key, before["assignment_id"], action="reassign")
        return self._own(cleared, breach, "routing", REASSIGNED, "reassigned", rep)

    def keep(self, cleared: Seen) -> None:
        """Let routing leave a lead with its owner."""
        self._decide(cleared, "retained", "existing_owner")
        self._settle(self._route(cleared, RETAINED), "assigned")

    def nurture(self, cleared: Seen) -> None:
        """Let routing leave a lead to marketing."""
        self._decide(cleared, "nurtured")
        self._settle(self._route(cleared, NURTURED), "nurtured")

    def withdraw(self, cleared: Seen) -> None:
        """Let the person of an assigned lead withdraw consent."""
        lead, statement, now = cleared.key, self.number("statement"), self.tick()
        self._say(
            lead, statement, now, state="withdrawn", purposes=["sales_contact"], channels=["email", "phone", "sms"],
            method="phone_call",
        )  # fmt: skip
        self.judge(self._scored[lead], WITHDRAWN, caused_by="", at=now)
        changed = self.publish(
            "consent.changed", CONSENT_CHANGED, lead, record_id=statement, may_contact=False, changed_at=now.isoformat()
        )
        assignment = self.evidence.assignments[-1]
        assignment |= {"ended_at": self.tick(), "end_reason": "consent_withdrawn"}
        gone = self.publish(
            "leads.routed", UNASSIGNED, lead, origin=cleared.body["origin"], reason="consent_withdrawn",
            previous_assignment_id=assignment["assignment_id"],
        )  # fmt: skip
        self.cause("routing", changed, gone)
        self._settle(gone, "withheld")
        self._call("consent.withdrawn", lead, {"assignment_id": assignment["assignment_id"]})

    def clock(self, clock_id: str, stage: str, lead: str, assignment: str | None = None) -> None:
        """Start a clock."""
        self.evidence.clocks.append(
            {"clock_id": clock_id, "lead_id": lead, "stage": stage, "state": "?", "closed_at": None, "met_at": None,
             "is_overdue": False}
        )  # fmt: skip
        self.change(clock_id, "started", lead, assignment)

    def change(self, clock_id: str, state: str, lead: str, assignment: str | None, action: str = "none") -> Seen:
        """Take a clock to its next state."""
        for row in self.evidence.clocks:
            if row["clock_id"] == clock_id:
                closed = self.tick() if state in {"met", "cancelled"} else None
                row |= {"state": state, "closed_at": closed, "met_at": closed if state == "met" else None}
        return self.publish(
            "leads.sla", SLA_CHANGED, lead, clock_id=clock_id, state=state, action=action, assignment_id=assignment
        )

    def _score(
        self, lead: str, who: dict[str, Any], numbers: dict[str, Any], trigger: str, common: dict[str, Any]
    ) -> Seen:
        now = self.tick()
        record_id = common["origin"]["record_id"] if trigger == "submission" else ""
        decided = {**numbers, "model_version": "1"}
        self.evidence.scores.append(
            {"lead_id": lead, "decision_id": self.number("score"), "trigger": trigger, "scored_at": now,
             "record_id": record_id, **decided}
        )  # fmt: skip
        profile = {"lead": who["lead"], "facts": who["facts"]}
        score = {**decided, "scored_at": now.isoformat()}
        scored = self.publish("leads.scored", SCORED, lead, **common, **profile, score=score, trigger=trigger)
        if numbers["is_mql"] and lead not in self._scored:
            self.publish("leads.scored", QUALIFIED, lead, is_mql=True, score=score)
        self._scored[lead] = scored
        return scored

    def _do(self, lead: str, activity_id: str, kind: str, at: datetime) -> None:
        self.evidence.activities.append(
            {"lead_id": lead, "activity_id": activity_id, "kind": kind, "occurred_at": at, "known_at": at, "detail": {}}
        )

    def _say(self, lead: str, record_id: str, at: datetime, **said: Any) -> None:
        defaults: dict[str, Any] = {"purposes": [], "channels": [], "notice_version": None, "is_double_opt_in": False}
        row = {"lead_id": lead, "record_id": record_id, "happened_at": at, "known_at": at, **defaults, **said}
        self.evidence.statements.append(row)
        if "/" in record_id:
            self._unheard.append(row)

    def _decide(self, cleared: Seen, outcome: str, settled_by: str = "pool") -> str:
        decision_id = self.number("decision")
        row = {
            "decision_id": decision_id,
            "lead_id": cleared.key,
            "outcome": outcome,
            "trace": {"settled_by": settled_by},
        }
        self.evidence.routings.append(row)
        return decision_id

    def _route(self, cleared: Seen, event_type: str, **body: Any) -> Seen:
        routed = self.publish("leads.routed", event_type, cleared.key, origin=cleared.body["origin"], **body)
        if event_type not in {ASSIGNED, REASSIGNED}:
            self.cause("routing", cleared, routed)
        return routed

    def _own(self, cleared: Seen, cause: Seen, consumer: str, event_type: str, outcome: str, rep: str) -> str:
        assignment, lead = self.number("assignment"), cleared.key
        self.evidence.assignments.append(
            {"assignment_id": assignment, "lead_id": lead, "rep_id": rep, "ended_at": None, "end_reason": None,
             "via": "rule", "decision_id": self._decide(cleared, outcome)}
        )  # fmt: skip
        owner = {"assignment_id": assignment, "rep_id": rep}
        routed = self._route(cleared, event_type, owner=owner, verdict=cleared.body["verdict"])
        self.cause(consumer, cause, routed)
        self._settle(routed, "assigned")
        self.clock(f"{assignment}.first_touch", "first_touch", lead, assignment)
        data = {"assignment": {"assignment_id": assignment}, "owner": {"rep_id": rep}}
        self._call(f"lead.{outcome}", lead, data)
        return assignment

    def _call(self, event_type: str, lead: str, data: dict[str, Any]) -> None:
        body = {"type": event_type, "data": {"lead_id": lead, **data}}
        callback_id, digest = self.number("callback"), sha256(json.dumps(body).encode()).hexdigest()
        self.evidence.sent.append(
            {"callback_id": callback_id, "lead_id": lead, "event_type": event_type, "state": "delivered",
             "digest": digest}
        )  # fmt: skip
        self.evidence.received.append({"id": callback_id, "digest": digest, "body": body})

    def _settle(self, event: Seen, state: str) -> None:
        """Put the record of *event* in *state*, and end its clock the first time."""
        for row in self.evidence.records:
            if row["record_id"] == event.record_id:
                row |= {"state": state}
        clock_id = f"{event.record_id}.assign"
        if any(row["clock_id"] == clock_id and row["closed_at"] is None for row in self.evidence.clocks):
            self.change(clock_id, "met" if state == "assigned" else "cancelled", event.key, None)

    def end(self) -> None:
        """Count the ledger."""
        self.evidence.counters = dict(Counter(row["state"] for row in self.evidence.records))
        self.evidence.counters["accepted"] = len(self.evidence.records)


def tell(leads: int = 1) -> Story:
    """Return the story of *leads* of each sort: assigned, come again, active, moved, withdrawn, nurtured, withheld."""
    story = Story()
    for number in range(leads):
        lead = f"{number:04}"
        story.give(story.judge(story.come(f"once-{lead}", VICE_PRESIDENT, HOT), US_WITH_GRANT), "carol")

        story.give(story.judge(story.come(f"twice-{lead}", VICE_PRESIDENT, HOT), US_WITH_GRANT), "carol")
        story.keep(story.judge(story.come(f"twice-{lead}", VICE_PRESIDENT, HOT), US_WITH_GRANT))

        story.give(story.judge(story.come(f"active-{lead}", VICE_PRESIDENT, HOT), US_WITH_GRANT), "deepak")
        more = {**HOT, "engagement": 32.0, "points": 85.0, "raw": 85.0}  # a visit: 2
        story.keep(story.judge(story.act(f"active-{lead}", "website_visit", more), US_WITH_GRANT))

        cleared = story.judge(story.come(f"moved-{lead}", VICE_PRESIDENT, HOT), US_WITH_GRANT)
        story.give(cleared, "carol")
        story.move(cleared, "deepak")

        cleared = story.judge(story.come(f"withdrawn-{lead}", VICE_PRESIDENT, HOT), US_WITH_GRANT)
        story.give(cleared, "carol")
        story.withdraw(cleared)

        cold = story.come(f"cold-{lead}", INTERN, COLD, kind="zoom", has_grant=NO)
        story.nurture(story.judge(cold, US_NO_PHONE))

        german = {**INTERN, "lead": {**INTERN["lead"], "country": "DE"}}
        story.judge(story.come(f"german-{lead}", german, COLD, kind="zoom", has_grant=NO), DE_WITHOUT_GRANT)
    story.end()
    return story
