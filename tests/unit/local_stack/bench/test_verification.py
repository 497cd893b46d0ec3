import pytest
from tests.unit.local_stack.bench.bench_builders import make_answer, make_callback, make_decided, make_ledger, make_row

from local_stack.bench.decisions import Decided, Decision
from local_stack.bench.verification import find_faults, read_promises

EMPTY = Decided({}, {}, {})


def faults(rows=None, decided=None, callbacks=None, *, before=None, after=None) -> list[str]:
    rows = [make_row(answer=make_answer())] if rows is None else rows
    return find_faults(
        read_promises(rows),
        make_decided() if decided is None else decided,
        [make_callback()] if callbacks is None else callbacks,
        before or make_ledger(0),
        after or make_ledger(1),
    )


def test_run_that_kept_every_promise_has_no_fault() -> None:
    assert faults() == []


def test_lead_that_was_answered_with_2xx_and_vanished_is_found() -> None:
    assert any("never captured" in fault and "r1" in fault for fault in faults(decided=EMPTY, callbacks=[]))


def test_lead_without_a_decision_is_found() -> None:
    found = faults(decided=Decided({"r1": "l1"}, {}, {}), callbacks=[])
    assert found == ["1 records were answered with 2xx and never decided, such as r1."]


def test_older_record_ends_with_the_newer_one_of_its_lead() -> None:
    rows = [make_row(answer=make_answer("r1")), make_row(1, answer=make_answer("r2"))]
    decided = make_decided("r2")
    decided.lead_of["r1"] = "l1"
    assert faults(rows, decided, after=make_ledger(2)) == []


def test_newer_record_does_not_end_with_the_older_one_of_its_lead() -> None:
    rows = [make_row(answer=make_answer("r1")), make_row(1, answer=make_answer("r2"))]
    decided = make_decided("r1")
    decided.lead_of["r2"] = "l1"
    assert any("never decided, such as r2" in fault for fault in faults(rows, decided, after=make_ledger(2)))


@pytest.mark.parametrize(
    ("after", "words"),
    [
        (make_ledger(1, is_balanced=False), "does not balance"),
        (make_ledger(1, in_flight=1), "still in flight"),
        (make_ledger(1, parked=1), "parked"),
        (make_ledger(2), "ledger grew by 2"),
        (make_ledger(0), "ledger grew by 0"),
    ],
)
def test_ledger_that_disagrees_is_a_fault(after, words) -> None:
    assert any(words in fault for fault in faults(after=after))


def test_second_owner_is_a_fault() -> None:
    decided = make_decided()
    decided.assigned["a2"] = "l1"
    found = faults(decided=decided, callbacks=[make_callback(), make_callback("a2")])
    assert found == ["1 leads were assigned more than once, such as l1."]


def test_assignment_that_the_crm_never_heard_of_is_a_fault() -> None:
    assert faults(callbacks=[]) == ["1 assignments never reached the CRM, such as a1."]


def test_callback_about_nothing_is_a_fault() -> None:
    assert faults(callbacks=[make_callback(), make_callback("a9")]) == [
        "1 callbacks speak of no assignment, such as a9."
    ]


def test_twin_of_a_callback_is_no_fault() -> None:
    assert faults(callbacks=[make_callback(), make_callback()]) == []


def test_lead_that_an_activity_assigned_later_is_no_fault() -> None:
    decided = Decided({"r1": "l1"}, {"r1": Decision("nurtured", 100.0, "l1")}, {"a1": "l1"})
    assert faults(decided=decided) == []


def test_answers_that_promise_nothing_new_are_not_counted() -> None:
    rows = [
        make_row(answer=make_answer("r1")),
        make_row(1, answer=make_answer("r1", duplicate=True)),
        make_row(2, status=401, expected=401),
        make_row(3, answer=make_answer("r2", nature="activity")),
    ]
    promises = read_promises(rows)
    assert promises.records == 2
    assert set(promises.leads) == {"r1"}
