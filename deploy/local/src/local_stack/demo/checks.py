"""What must be true of a run. Returns what is wrong, in sentences; nothing wrong is an empty list."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from local_stack.demo.story import Story

TERMINAL = frozenset({"assigned", "unassigned", "withheld", "nurtured", "quarantined", "ignored", "activity"})


def find_problems(stories: Sequence[Story], ledger: Mapping[str, Any], refused_callbacks: int) -> list[str]:
    """Return every promise that this run breaks."""
    problems = [problem for story in stories for problem in _problems_of(story)]
    if not ledger["balanced"] or ledger["differences"]:
        problems.append(f"the ledger does not balance: {ledger['imbalance']} off, differences {ledger['differences']}")
    if ledger["in_flight"]:
        problems.append(f"{ledger['in_flight']} records are still in flight")
    if refused_callbacks:
        problems.append(f"the CRM refused {refused_callbacks} callbacks for their signature")
    records = Counter(story.record_id for story in stories)
    problems += [f"record {record_id} is told {count} times" for record_id, count in records.items() if count > 1]
    return problems


def _problems_of(story: Story) -> list[str]:
    where = f"{story.title} ({story.record_id})"
    if story.state not in TERMINAL:
        return [f"{where}: ended as {story.state}"]
    if story.state == "assigned":
        return [f"{where}: {problem}" for problem in _problems_of_assigned(story)]
    if story.callbacks and story.state in {"withheld", "nurtured", "unassigned"}:
        return [f"{where}: {story.state}, yet the CRM was told of it"]
    if story.state == "withheld" and story.consent and story.consent["may_contact"]:
        return [f"{where}: withheld, yet consent says it may be contacted"]
    return []


def _problems_of_assigned(story: Story) -> list[str]:
    if story.owner is None:
        return ["assigned by the ledger, but routing knows no owner"]
    if story.consent is None or not story.consent["may_contact"]:
        return ["assigned although consent does not allow contact"]
    ids = {callback.id for callback in story.callbacks}
    if len(ids) != 1:
        return [f"{len(ids)} different callbacks reached the CRM; one was to"]
    contents = {callback.digest for callback in story.callbacks}
    if len(contents) != 1:
        return ["one callback came twice with different content"]
    told = story.callbacks[0].body["data"]
    if told["owner"]["rep_id"] != story.owner["rep_id"]:
        return [f"the CRM was told {told['owner']['rep_id']}, routing says {story.owner['rep_id']}"]
    if told["assignment"]["assignment_id"] != story.owner["assignment_id"]:
        return ["the CRM was told of another assignment than routing's"]
    return []
