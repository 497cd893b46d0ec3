"""Whatever single thing is changed in evidence that was right, the judge finds it."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from .checker.handling import CAPTURED, QUALIFIED, SLA_CHANGED, readers_of
from .damage import faults_of
from .story import START, Story, tell

# Any single change of what is there. ``other`` values are never the right ones.
FIELDS: dict[str, tuple[str, ...]] = {
    "records": ("record_id", "lead_id", "nature", "state", "submission_id"),
    "submissions": ("submission_id", "digest", "record_ids"),
    "scores": ("lead_id", "trigger", "record_id", "points", "raw", "fit", "engagement", "grade", "is_mql",
               "model_version"),
    "activities": ("lead_id", "activity_id", "kind"),
    "statements": ("lead_id", "record_id", "state"),
    "verdicts": ("lead_id", "table_version", "purpose", "channels"),
    "routings": ("lead_id", "outcome"),
    "assignments": ("assignment_id", "lead_id", "rep_id", "ended_at", "decision_id"),
    "sent": ("callback_id", "lead_id", "event_type", "state", "digest"),
    "clocks": ("clock_id", "state"),
}  # fmt: skip


# What a sender said is made into something else by enrichment, and what a policy wants is for the policy to say.
SAID_ONCE = {(CAPTURED, "lead"), (SLA_CHANGED, "action"), (QUALIFIED, "score")}


def other(value: Any) -> Any:
    match value:
        case bool():
            return not value
        case str() if value[:2] == "20":  # an instant
            return "2026-11-24T00:00:00+00:00"
        case str():
            return "other"
        case int() | float():
            return value + 1
        case list():
            return [] if value else [{"state": "other"}]
        case dict():
            return {name: {**one, "is_allowed": not one["is_allowed"]} for name, one in value.items()}
        case None:
            return START
        case _:
            return None


def change_row(story: Story, place: int) -> str:
    """Change one field of one row."""
    fields = [(table, name) for table, names in FIELDS.items() for name in names]
    table, name = fields[place % len(fields)]
    rows = getattr(story.evidence, table)
    row = rows[place % len(rows)] = dict(rows[place % len(rows)])
    row[name] = other(row[name])
    return f"{table}.{name} of {row}"


def lose_one(story: Story, place: int) -> str:
    """Lose a row, an event, the proof that one was handled, a callback."""
    lists = [*FIELDS, "events", "handled", "received"]
    rows = getattr(story.evidence, lists[place % len(lists)])
    return f"{lists[place % len(lists)]} {rows.pop(place % len(rows))}"


def leaves(value: Any, *path: str) -> list[tuple[str, ...]]:
    """Return the paths to everything in a body that is no object."""
    if not isinstance(value, dict):
        return [path]
    return [leaf for name in sorted(value) for leaf in leaves(value[name], *path, name)]


def with_leaf(body: dict[str, Any], path: tuple[str, ...], change: Callable[[Any], Any]) -> dict[str, Any]:
    name, *rest = path
    return {**body, name: with_leaf(body[name], tuple(rest), change) if rest else change(body[name])}


def alter_event(story: Story, place: int) -> str:
    """Alter what one event says of itself, on its way."""
    events = story.evidence.events
    event = events[place % len(events)]
    paths = [path for path in leaves(event.body) if (event.type, path[0]) not in SAID_ONCE]
    path = paths[place // len(events) % len(paths)]
    altered = replace(event, raw=json.dumps(with_leaf(event.body, path, other), default=str).encode())
    events[events.index(event)] = altered
    return f"{'.'.join(path)} of {altered}"


def alter_callback(story: Story, place: int) -> str:
    received = story.evidence.received
    one = dict(received[place % len(received)])
    one[("id", "digest")[place % 2]] = "other"
    received.append(one)
    return str(one)


def swap_events(story: Story, place: int) -> str:
    """Swap two events of one lead on one topic, between its consumers' reading of them."""
    events = story.evidence.events
    pairs = [
        (first, second)
        for first in range(len(events))
        for second in range(first + 1, len(events))
        if (events[first].topic, events[first].key) == (events[second].topic, events[second].key)
        and len(set(readers_of(events[first])) & set(readers_of(events[second]))) > 0
    ]
    first, second = pairs[place % len(pairs)]
    events[first], events[second] = events[second], events[first]
    return f"{events[first]} and {events[second]}"


def break_promise(story: Story, place: int) -> str:
    """Let a sender remember another answer than what is kept."""
    promise = story.promises[place % len(story.promises)]
    field = ("record_id", "submission_id", "nature", "lead_id", "digest")[place // len(story.promises) % 5]
    broken = promise._replace(**{field: "other"})
    story.promises[place % len(story.promises)] = broken
    return str(broken)


CHANGES = (change_row, lose_one, alter_event, alter_callback, swap_events, break_promise)


@settings(max_examples=200, deadline=None)
@given(change=st.sampled_from(CHANGES), place=st.integers(0, 100_000))
def test_whatever_single_thing_is_changed_is_found(change: Callable[[Story, int], str], place: int) -> None:
    story = tell()
    changed = change(story, place)
    assert faults_of(story) != [], changed
