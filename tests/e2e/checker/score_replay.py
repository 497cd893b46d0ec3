"""Every score is made again from what scoring stored, and compared with what it stored and published."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from .facts import Evidence, Row, Seen, by_lead, some
from .handling import ACTIVITY, ENRICHED, QUALIFIED, SCORED
from .score_model import Deed, NotJudged, counted_kinds, is_qualified, read_model, score

ROUNDING = 0.011  # each signal is rounded to a hundredth by itself
MOST_ACTIVITIES = 1000


def judge_scores(evidence: Evidence) -> Iterator[str]:
    """Return a sentence per kind of broken promise."""
    replay = _Replay(evidence)
    wrong: dict[str, list[str]] = defaultdict(list)
    for lead_id, decisions in by_lead(evidence.scores).items():
        try:
            for fault in replay.find_faults(lead_id, decisions):
                wrong[fault].append(lead_id)
        except NotJudged as reason:
            wrong[f"leads have scores that were not judged ({reason})"].append(lead_id)
    for fault, leads in wrong.items():
        yield from some(fault, leads)
    yield from _judge_published(evidence)
    yield from _judge_crossings(evidence)


class _Replay:
    """One lead after the other, decision by decision."""

    def __init__(self, evidence: Evidence) -> None:
        self._texts = {version: text for (kind, version), text in evidence.documents.items() if kind == "scoring_model"}
        self._activities = by_lead(evidence.activities)
        self._profiles: dict[str, dict[str, Any]] = {}
        self._proved: dict[str, set[tuple[str, str]]] = defaultdict(set)
        self._places: dict[str, tuple[int, int]] = {}
        self._captured: dict[str, list[str]] = defaultdict(list)
        for event in evidence.firsts():
            if event.type == ENRICHED:
                self._profiles[event.record_id] = event.body
                self._captured[event.key].append(event.record_id)
                for kind in event.body.get("activities", ()):
                    self._proved[event.key].add((f"{event.record_id}:{kind}", kind))
            elif event.type == ACTIVITY:
                self._places[event.body["activity_id"]] = (event.partition, event.offset)
                self._proved[event.key].add((event.body["activity_id"], event.body["kind"]))

    def find_faults(self, lead_id: str, decisions: Sequence[Row]) -> Iterator[str]:
        submitted = [row["record_id"] for row in decisions if row["trigger"] == "submission"]
        if len(submitted) != len(set(submitted)):
            yield "leads have records that were scored twice"
        elif submitted != [one for one in self._captured[lead_id] if one in submitted]:
            yield "leads were scored in another order than their records came in"
        deeds = _Deeds(self._activities.get(lead_id, []), self._places, decisions, self._kinds(decisions))
        kept = {(row["activity_id"], row["kind"]) for row in self._activities.get(lead_id, ())}
        if deeds.strange or not kept <= self._proved[lead_id]:
            yield "leads have activities that nobody reported"
        if not {one for one in self._proved[lead_id] if one[0].partition(":")[0] in {*submitted, one[0]}} <= kept:
            yield "leads have activities that were not kept"
        profile: Mapping[str, Any] | None = None
        was_qualified = False
        for row in decisions:
            if row["trigger"] == "submission":
                profile = self._profiles.get(row["record_id"])
            known = deeds.known_to(row)
            if profile is None:
                yield "leads were scored without a record"
                return
            yield from self._compare(row, profile, known, was_qualified=was_qualified)
            was_qualified = row["is_mql"]

    def _kinds(self, decisions: Sequence[Row]) -> set[str]:
        kinds = {frozenset(counted_kinds(self._model(version))) for version in _versions(decisions)}
        if len(kinds) > 1:
            raise NotJudged("models that count different activities")
        return set(kinds.pop())

    def _model(self, version: str) -> dict[str, Any]:
        if version not in self._texts:
            raise NotJudged(f"model {version} is not stored")
        return _model_of(self._texts[version])

    def _compare(
        self, row: Row, profile: Mapping[str, Any], deeds: Sequence[Deed], *, was_qualified: bool
    ) -> Iterator[str]:
        model = self._model(row["model_version"])
        if "account" in model:
            raise NotJudged("what colleagues did counts")
        made = score(model, profile, deeds, row["scored_at"])
        for name in ("points", "raw", "fit", "engagement"):
            if abs(getattr(made, name) - row[name]) > ROUNDING:
                yield f"leads have {name} that a replay does not reproduce"
        if made.grade != row["grade"]:
            yield "leads have a grade that a replay does not reproduce"
        # By the stored points: they are right to the last hundredth but one, and the limit is a sharp edge.
        is_mql = is_qualified(model, row["points"], row["grade"], was_qualified=was_qualified)
        if is_mql is not row["is_mql"]:
            yield "leads are, or are not, an MQL against the model"


class _Deeds:
    """What a lead had done by each of its decisions, by what caused them: no clock of a process is asked.

    A submission's own activities count from its decision on. Of reported ones, the decisions about activities are the
    last; those before them came while nobody knew the lead.
    """

    def __init__(
        self, rows: Sequence[Row], places: Mapping[str, tuple[int, int]], decisions: Sequence[Row], kinds: set[str]
    ) -> None:
        if len(rows) > MOST_ACTIVITIES:
            raise NotJudged("more activities than are scored")
        self._of_record: dict[str, list[Deed]] = defaultdict(list)
        reported = []
        self.strange = False
        records = {row["record_id"] for row in decisions if row["trigger"] == "submission"}
        for row in rows:
            record_id, _, kind = row["activity_id"].partition(":")
            if kind:
                self._of_record[record_id].append(_deed(row))
                self.strange |= record_id not in records
            elif row["activity_id"] not in places:
                self.strange = True
            elif row["kind"] in kinds:
                reported.append(row)
        reported.sort(key=lambda row: places[row["activity_id"]])
        decided = sum(row["trigger"] == "activity" for row in decisions)
        self._known = [_deed(row) for row in reported[: len(reported) - decided]]
        self._to_come = [_deed(row) for row in reported[len(reported) - decided :]]

    def known_to(self, decision: Row) -> list[Deed]:
        """Return what counts for *decision*; call it once for each, in their order."""
        if decision["trigger"] == "submission":
            self._known += self._of_record.pop(decision["record_id"], [])
        elif decision["trigger"] == "activity" and self._to_come:
            self._known.append(self._to_come.pop(0))
        return self._known


def _deed(row: Row) -> Deed:
    return Deed(row["kind"], min(row["occurred_at"], row["known_at"]), row["detail"])


def _versions(decisions: Sequence[Row]) -> set[str]:
    return {row["model_version"] for row in decisions}


@lru_cache(maxsize=8)
def _model_of(text: str) -> dict[str, Any]:
    return read_model(text)


def _judge_published(evidence: Evidence) -> Iterator[str]:
    """Each decision about what a lead did is one event, and each event one decision, with the same numbers."""
    decided: Counter[tuple[Any, ...]] = Counter()
    for lead_id, rows in by_lead(evidence.scores).items():
        record_id = ""
        for row in rows:
            record_id = row["record_id"] or record_id
            if row["trigger"] in {"submission", "activity"}:
                decided[lead_id, record_id, row["trigger"], *_numbers(row), row["scored_at"]] += 1
    told = Counter(_told(event) for event in evidence.firsts() if event.type == SCORED)
    yield from some("leads have scores that were decided and not published so", (one[0] for one in decided - told))
    yield from some("leads have scores that were published and not decided so", (one[0] for one in told - decided))


def _judge_crossings(evidence: Evidence) -> Iterator[str]:
    """A lead that becomes an MQL, or is none any more, is announced once."""
    crossed: Counter[tuple[str, bool, datetime]] = Counter()
    for lead_id, rows in by_lead(evidence.scores).items():
        was_mql = False
        for row in rows:
            if row["is_mql"] is not was_mql:
                crossed[lead_id, row["is_mql"], row["scored_at"]] += 1
            was_mql = row["is_mql"]
    told = Counter(
        (event.key, event.body["is_mql"], datetime.fromisoformat(event.body["score"]["scored_at"]))
        for event in evidence.firsts()
        if event.type == QUALIFIED
    )
    yield from some("leads crossed the MQL threshold and nobody was told", (one[0] for one in crossed - told))
    yield from some("leads were told to have crossed the MQL threshold", (one[0] for one in told - crossed))


def _told(event: Seen) -> tuple[Any, ...]:
    numbers = event.body["score"]
    scored_at = datetime.fromisoformat(numbers["scored_at"])
    return (event.key, event.record_id, event.body["trigger"], *_numbers(numbers), scored_at)


def _numbers(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("points", "raw", "fit", "engagement", "grade", "is_mql", "model_version"))
