"""How a test damages evidence: rows that say something else, events altered or moved on their way."""

import json
from dataclasses import replace
from typing import Any

from .checker.facts import Row, Seen
from .story import Story
from .verdict import find_faults


def faults_of(story: Story) -> list[str]:
    return find_faults(story.promises, story.evidence, story.attempts)


def take(rows: list[Row], **wanted: Any) -> Row:
    """Return the first row with these values, as a copy that has taken its place: rows are not shared."""
    for place, row in enumerate(rows):
        if all(row[name] == value for name, value in wanted.items()):
            rows[place] = dict(row)
            return rows[place]
    raise LookupError(wanted)


def events_of(story: Story, *types: str) -> list[Seen]:
    return [event for event in story.evidence.events if event.type in types]


def put(story: Story, event: Seen, **changed: Any) -> Seen:
    """Give an event another body, and keep what was recorded of it: it was altered on its way."""
    altered = replace(event, raw=json.dumps({**event.body, **changed}).encode())
    events = story.evidence.events
    events[events.index(event)] = altered
    return altered


def move_behind(story: Story, event: Seen, other: Seen) -> None:
    """Let *event* stand behind *other* on their topic."""
    events = story.evidence.events
    events.remove(event)
    events.insert(events.index(other) + 1, event)
