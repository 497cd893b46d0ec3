"""Every consent decision is made again from the ledger of that instant, and compared with what was stored and told."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from .consent_rules import Answer, NotJudged, Said, decide, has_address, read_rules
from .facts import Evidence, Row, Seen, by_lead, some
from .handling import CLEARED, CONSENT_CHANGED, SCORED, WITHHELD

STATEMENTS = {"given", "refused", "withdrawn", "objected"}
PURPOSE = "sales_contact"


def judge_consent(evidence: Evidence) -> Iterator[str]:
    """Return a sentence per kind of broken promise."""
    replay = _Replay(evidence)
    wrong: dict[str, list[str]] = defaultdict(list)
    for lead_id, decisions in by_lead(evidence.verdicts).items():
        try:
            for fault in (*replay.find_faults(lead_id, decisions), *replay.find_undecided(lead_id, decisions)):
                wrong[fault].append(lead_id)
        except NotJudged as reason:
            wrong[f"leads have consent decisions that were not judged ({reason})"].append(lead_id)
    for fault, leads in wrong.items():
        yield from some(fault, leads)
    yield from _judge_told(evidence)
    yield from _judge_ledger(evidence, replay)
    yield from _judge_changes(evidence)


class _Replay:
    """One lead after the other, decision by decision."""

    def __init__(self, evidence: Evidence) -> None:
        self._texts = {version: text for (kind, version), text in evidence.documents.items() if kind == "consent_rules"}
        self._said = {lead_id: [_said(row) for row in rows] for lead_id, rows in by_lead(evidence.statements).items()}
        self._suppressed = by_lead(evidence.suppressed)
        self._told: dict[str, Seen] = {}
        self._scored: dict[tuple[str, str, str, str], Seen] = {}
        for event in evidence.firsts():
            if event.type in {CLEARED, WITHHELD}:
                self._told[event.body["verdict"]["decision_id"]] = event
            elif event.type == SCORED:
                self._scored[_score_of(event)] = event

    def find_faults(self, lead_id: str, decisions: Sequence[Row]) -> Iterator[str]:
        said = self._said.get(lead_id, [])
        heard_with = self._heard_with(decisions)
        profile: Mapping[str, Any] | None = None
        for place, row in enumerate(decisions):
            told = self._told.get(row["decision_id"])
            if told is not None:
                scored = self._scored.get(_score_of(told))
                profile = scored.body if scored is not None else None
            if profile is None:
                yield "leads have consent decisions about a score that was not published"
                return
            known = [one for one in said if heard_with.get(one.record_id.partition("/")[0], -1) <= place]
            if not self._is_reproduced(row, profile, known, heard_with):
                yield "leads have consent decisions that a replay does not reproduce"
            if not self._is_suppression_explained(row, profile):
                yield "leads have channels closed, or open, against the suppression list"

    def find_undecided(self, lead_id: str, decisions: Sequence[Row]) -> Iterator[str]:
        """What somebody says about a known lead is decided on at once: ledger row and decision share an instant."""
        instants = {row["decided_at"] for row in decisions}
        if any(
            one.state in STATEMENTS and one.known_at > min(instants) and one.known_at not in instants
            for one in self._said.get(lead_id, ())
        ):
            yield "leads have statements about consent that nobody decided on"

    def rules(self, version: str) -> dict[str, Any]:
        if version not in self._texts:
            raise NotJudged(f"rule table {version} is not stored")
        return _rules_of(self._texts[version])

    def is_inquiry(self, version: str, source_kind: str) -> bool:
        """Tell whether a submission of this kind asks us something; not if nobody knows the rules."""
        return version in self._texts and source_kind in self.rules(version)["inquiry_sources"]

    def _heard_with(self, decisions: Sequence[Row]) -> dict[str, int]:
        """Return with which decision each submission record came; what it says is not known before."""
        heard: dict[str, int] = {}
        for place, row in enumerate(decisions):
            told = self._told.get(row["decision_id"])
            if told is not None and told.body["trigger"] == "submission":
                heard.setdefault(told.record_id, place)
        return heard

    def _is_reproduced(
        self, row: Row, profile: Mapping[str, Any], said: Sequence[Said], heard_with: Mapping[str, int]
    ) -> bool:
        if row["purpose"] != PURPOSE:
            raise NotJudged(f"purpose {row['purpose']}")
        rules, at = self.rules(row["table_version"]), row["decided_at"]
        came_along = [one for one in said if one.record_id.partition("/")[0] in heard_with]
        reported = [one for one in said if one not in came_along]
        before = [one for one in reported if one.known_at < at]
        # What was reported in the very same transaction was heard before the decision or after it.
        options = [before, [one for one in reported if one.known_at <= at]]
        stored = {name: Answer(one["is_allowed"], one["rule_id"]) for name, one in row["channels"].items()}
        return any(
            decide(rules, profile, [*came_along, *option], row["suppressed_channels"], PURPOSE, at) == stored
            for option in options
        )

    def _is_suppression_explained(self, row: Row, profile: Mapping[str, Any]) -> bool:
        """Tell whether the channels that were closed are those of the list: of addresses the lead has, since when.

        The list holds no history: what was added to an entry later may or may not have been there.
        """
        entries = [one for one in self._suppressed.get(row["lead_id"], ()) if one["added_at"] <= row["decided_at"]]
        at_most = {channel for one in entries for channel in one["channels"]}
        if not set(row["suppressed_channels"]) <= at_most:
            return False
        earlier = any(one["added_at"] < row["decided_at"] for one in entries)
        is_reachable = any(has_address(profile["lead"], channel) for channel in at_most)
        return bool(row["suppressed_channels"]) or not (earlier and is_reachable)


def _said(row: Row) -> Said:
    return Said(
        row["record_id"],
        row["state"],
        tuple(row["purposes"]),
        tuple(row["channels"]),
        row["happened_at"],
        row["known_at"],
        row["method"],
        row["notice_version"],
        row["is_double_opt_in"],
    )


def _score_of(event: Seen) -> tuple[str, str, str, str]:
    return (event.key, event.record_id, event.body["trigger"], event.body["score"]["scored_at"])


@lru_cache(maxsize=8)
def _rules_of(text: str) -> dict[str, Any]:
    return read_rules(text)


def _judge_told(evidence: Evidence) -> Iterator[str]:
    """What is told of a decision is the decision."""
    decided = {row["decision_id"]: row for row in evidence.verdicts}
    unknown, altered = [], []
    for event in evidence.firsts():
        if event.type not in {CLEARED, WITHHELD}:
            continue
        verdict = event.body["verdict"]
        row = decided.get(verdict["decision_id"])
        if row is None:
            unknown.append(event.id)
            continue
        allowed = [name for name, one in row["channels"].items() if one["is_allowed"]]
        told = (event.key, verdict["channels"], verdict["table_version"], event.type == CLEARED)
        if told != (row["lead_id"], allowed, row["table_version"], bool(allowed)) or _differ(verdict, row):
            altered.append(event.id)
    yield from some("consent verdicts were published that nobody decided", unknown)
    yield from some("consent verdicts are not what was decided", altered)


def _differ(verdict: Mapping[str, Any], row: Row) -> bool:
    decided_at: datetime = row["decided_at"]
    return datetime.fromisoformat(verdict["decided_at"]) != decided_at


def _judge_ledger(evidence: Evidence, replay: _Replay) -> Iterator[str]:
    """Every word that came with a submission is in the ledger."""
    states = {(row["lead_id"], row["record_id"]): row["state"] for row in evidence.statements}
    decided = {row["lead_id"]: row["table_version"] for row in evidence.verdicts}
    unheard = []
    for event in evidence.firsts():
        if event.type == SCORED and event.body["trigger"] == "submission" and event.key in decided:
            said = {str(place): one["state"] for place, one in enumerate(event.body.get("consent", ()))}
            if event.body.get("has_gpc"):
                said["gpc"] = "objected"
            if replay.is_inquiry(decided[event.key], event.body["origin"]["source_kind"]):
                said["inquiry"] = "inquiry"
            heard = {name: states.get((event.key, f"{event.record_id}/{name}")) for name in said}
            unheard += [f"{event.record_id}/{name}" for name in said if heard[name] != said[name]]
    yield from some("statements about consent are not in the ledger as they were made", unheard)


def _judge_changes(evidence: Evidence) -> Iterator[str]:
    """A change that is told is in the ledger, and says of contact what was decided at that instant."""
    known_at = {(row["lead_id"], row["record_id"]): row["known_at"] for row in evidence.statements}
    decided: dict[tuple[str, datetime], set[bool]] = defaultdict(set)
    for row in evidence.verdicts:
        answer = any(one["is_allowed"] for one in row["channels"].values())
        decided[row["lead_id"], row["decided_at"]].add(answer)
    changes = [event for event in evidence.firsts() if event.type == CONSENT_CHANGED]
    yield from some(
        "changes of consent were published that nobody made",
        (
            event.id
            for event in changes
            if known_at.get((event.key, event.body["record_id"])) != datetime.fromisoformat(event.body["changed_at"])
        ),
    )
    told = {event.body["record_id"] for event in changes}
    submitted = {event.record_id for event in evidence.firsts() if event.type == SCORED}
    yield from some(
        "withdrawals and objections were not told",
        (
            row["record_id"]
            for row in evidence.statements
            if row["state"] in {"withdrawn", "objected"}
            and row["record_id"] not in told
            and row["record_id"].partition("/")[0] not in submitted
        ),
    )
    yield from some(
        "changes of consent were told against what was decided",
        (
            event.id
            for event in changes
            if event.body["may_contact"]
            not in decided.get((event.key, datetime.fromisoformat(event.body["changed_at"])), {False})
        ),
    )
