"""Every 2xx is a submission that is kept as it was sent; its records are each in one state that is counted."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

from .facts import Attempt, Evidence, Promise, Row, some
from .handling import ACTIVITY, CAPTURED, ENRICHED, SCORED

OK, REDIRECT = 200, 300
STATES = {
    "lead": {"in_flight", "assigned", "unassigned", "nurtured", "withheld", "parked", "erased"},
    "activity": {"activity", "erased"},
    "ignored": {"ignored", "discarded"},
    "quarantined": {"quarantined", "discarded"},
}


def judge_ledger(evidence: Evidence) -> Iterator[str]:
    """Return a sentence per kind of broken promise."""
    counted = Counter(row["state"] for row in evidence.records)
    counted["accepted"] = len(evidence.records)
    if dict(counted) != evidence.counters:
        yield f"the ledger counts {evidence.counters}, the records are {dict(counted)}"
    states = sum(number for name, number in evidence.counters.items() if name != "accepted")
    if states != evidence.counters.get("accepted", 0):
        yield "the ledger does not balance"


def judge_intake(promises: Sequence[Promise], attempts: Sequence[Attempt], evidence: Evidence) -> Iterator[str]:
    """Return a sentence per kind of broken promise. *attempts*: of every request, or none at all."""
    submissions = {row["submission_id"]: row for row in evidence.submissions}
    records = {row["record_id"]: row for row in evidence.records}
    yield from some("submissions that were answered with 2xx are not kept", _lost(promises, attempts, evidence))
    yield from _judge_bytes(promises, submissions)
    yield from some(
        "records are not what their sender was told",
        (
            one.record_id
            for one in promises
            if one.record_id in records
            and (
                records[one.record_id]["submission_id"] != one.submission_id
                or records[one.record_id]["nature"] != one.nature
                or one.lead_id not in {None, records[one.record_id]["lead_id"]}
            )
        ),
    )
    yield from _judge_addresses(promises, evidence)
    yield from _judge_answers(attempts)
    if attempts:
        sent = {one.digest for one in attempts} | {one.digest for one in promises}
        kinds = {one.kind for one in attempts}
        yield from some(
            "submissions were kept that nobody sent",
            (name for name, row in submissions.items() if row["source_kind"] in kinds and row["digest"] not in sent),
        )
    yield from _judge_records(evidence)


def _lost(promises: Sequence[Promise], attempts: Sequence[Attempt], evidence: Evidence) -> set[str]:
    promised = {one.submission_id for one in promises}
    promised |= {one.submission_id for one in attempts if OK <= one.status < REDIRECT}
    return promised - {row["submission_id"] for row in evidence.submissions}


def _judge_bytes(promises: Sequence[Promise], submissions: Mapping[str, Row]) -> Iterator[str]:
    """What is kept is what was sent: of a delivery that came several times, one of them."""
    sent: dict[str, set[str]] = defaultdict(set)
    for one in promises:
        sent[one.submission_id].add(one.digest)
    yield from some(
        "submissions are not kept as they were sent",
        (
            name
            for name, digests in sent.items()
            if "" not in digests and name in submissions and submissions[name]["digest"] not in digests
        ),
    )


def _judge_addresses(promises: Sequence[Promise], evidence: Evidence) -> Iterator[str]:
    sent = {one.record_id: one.email.casefold() for one in promises}
    yield from some(
        "records were captured with another address than was sent",
        (
            event.record_id
            for event in evidence.firsts()
            if event.type == CAPTURED
            and event.record_id in sent
            and str(event.body.get("lead", {}).get("email")).casefold() != sent[event.record_id]
        ),
    )


def _judge_answers(attempts: Sequence[Attempt]) -> Iterator[str]:
    """A delivery that is answered again is answered with the same ids. Forms have no id to be known by."""
    answers: dict[tuple[str, str], set[tuple[str, tuple[str, ...]]]] = defaultdict(set)
    for one in attempts:
        if OK <= one.status < REDIRECT and one.kind != "web_form":
            answers[one.kind, one.digest].add((one.submission_id, one.record_ids))
    yield from some(
        "deliveries were answered with different ids",
        (f"{kind}/{digest[:8]}" for (kind, digest), ids in answers.items() if len(ids) > 1),
    )


def _judge_records(evidence: Evidence) -> Iterator[str]:
    """A submission's records are there, and each of them goes its way once."""
    records = {row["record_id"]: row for row in evidence.records}
    yield from some(
        "records are in no terminal state",
        (
            f"{name} ({row['state']})"
            for name, row in records.items()
            if row["state"] not in STATES.get(row["nature"], ())
        ),
    )
    yield from some(
        "submissions lack a record",
        (row["submission_id"] for row in evidence.submissions for one in row["record_ids"] if one not in records),
    )
    listed = {(one, row["submission_id"]) for row in evidence.submissions for one in row["record_ids"]}
    yield from some(
        "records belong to no submission",
        (name for name, row in records.items() if (name, row["submission_id"]) not in listed),
    )
    yield from _judge_passage(evidence, records)


def _judge_passage(evidence: Evidence, records: Mapping[str, Row]) -> Iterator[str]:
    """Each record is published once, about its own lead, and goes on once."""
    strange = []
    passed: dict[str, Counter[str]] = {step: Counter() for step in ("captured", "enriched", "scored", "activity")}
    for event in evidence.firsts():
        if event.type in {CAPTURED, ENRICHED, ACTIVITY} or (
            event.type == SCORED and event.body["trigger"] == "submission"
        ):
            passed[event.type.split(".")[-2].replace("recorded", "activity")][event.record_id] += 1
            row = records.get(event.record_id)
            if row is not None and row["lead_id"] != event.key:
                strange.append(event.record_id)
    yield from some("records were published as another lead's", strange)
    for step, times in passed.items():
        yield from some(f"records were {step} several times", (one for one, number in times.items() if number > 1))
        yield from some(f"records were {step} that nobody sent", (one for one in times if one not in records))
    for nature, step in (("lead", "captured"), ("activity", "activity")):
        yield from some(
            f"records of a {nature} were not published",
            (name for name, row in records.items() if row["nature"] == nature and not passed[step][name]),
        )
