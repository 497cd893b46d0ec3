"""The demo's tables."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from local_stack.demo.story import Story

STAGES = ("enriched", "scored", "consented", "assigned", "callback")


def print_leads(console: Console, stories: Sequence[Story]) -> None:
    """Print one line per record."""
    table = Table(
        "source",
        "score",
        "grade",
        "consent",
        "owner, or why none",
        "callback",
        "ms to callback",
        box=None,
        pad_edge=False,
    )
    for story in stories:
        table.add_row(story.kind, *_score(story), _consent(story), _end(story), *_callback(story))
    console.print(table)


def print_ledger(console: Console, ledger: Mapping[str, Any]) -> None:
    """Print the ledger: accepted = the sum of all states."""
    table = Table("ledger", "records", box=None, pad_edge=False)
    states = {**ledger["mapped_by_state"], **{name: ledger[name] for name in _OTHER_STATES}}
    for state, count in states.items():
        if count:
            table.add_row(state, str(count))
    table.add_row("accepted", f"{ledger['accepted']}  {'= the sum' if ledger['balanced'] else 'DOES NOT BALANCE'}")
    console.print(table)


def print_stages(console: Console, stories: Sequence[Story]) -> None:
    """Print exact percentiles of the time from receipt to each stage."""
    table = Table("milliseconds from receipt to", "leads", "p50", "p90", "p99", box=None, pad_edge=False)
    for stage in STAGES:
        spans = sorted(story.stages[stage] for story in stories if stage in story.stages)
        if spans:
            table.add_row(stage, str(len(spans)), *(f"{percentile(spans, share):.0f}" for share in (0.5, 0.9, 0.99)))
    console.print(table)


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the smallest value that at least *share* of *ordered* (ascending) does not exceed."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


_OTHER_STATES = ("activity", "ignored", "quarantined", "discarded")


def _score(story: Story) -> tuple[str, str]:
    if story.score is None:
        return "", ""
    return f"{story.score['decided']['points']:.0f}", story.score["decided"]["grade"]


def _consent(story: Story) -> str:
    decision = story.consent["last_decision"] if story.consent else None
    if decision is None:
        return ""
    allowed = [channel for channel in decision["channels"] if channel["allowed"]]
    explaining = (allowed or decision["channels"])[0]
    channels = "+".join(channel["channel"] for channel in allowed)
    return f"{channels or 'none'} ({explaining['rule_id']}: {explaining['reason']})"


def _end(story: Story) -> str:
    if story.state == "assigned" and story.owner is not None:
        return f"{story.owner['rep_name']} ({story.owner['rule_id']})"
    return f"{story.state}{': ' + story.reason if story.reason else ''}"


def _callback(story: Story) -> tuple[str, str]:
    if not story.callbacks:
        return "", ""
    return "verified", f"{story.stages['callback']:.0f}"
