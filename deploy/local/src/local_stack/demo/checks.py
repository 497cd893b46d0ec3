"""What must be true of a run. Pure: says what is wrong, in sentences; nothing wrong is an empty list."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from local_stack.demo.posting import Delivery
from local_stack.demo.samples import Fate
from local_stack.demo.story import Story

ENDS = frozenset({"assigned", "unassigned", "withheld", "nurtured", "activity", "ignored", "quarantined"})


class Run(NamedTuple):
    """Everything a run showed. ``stories``: by submission. ``ledger``: counted anew at the end (``verify=true``).

    ``refused``: callbacks whose signature the CRM did not accept. ``is_alone``: nobody else posted meanwhile.
    """

    deliveries: Sequence[Delivery]
    stories: Mapping[str, Sequence[Story]]
    ledger_before: Mapping[str, Any]
    ledger: Mapping[str, Any]
    pending_callbacks: int
    refused: int
    is_alone: bool

    @property
    def all_stories(self) -> list[Story]:
        """Return the stories in the order of the deliveries."""
        return [story for found in self.stories.values() for story in found]


def find_problems(run: Run) -> list[str]:
    """Return a sentence for each promise that *run* breaks."""
    return [
        *(problem for delivery in run.deliveries for problem in _judge_delivery(delivery, run)),
        *(problem for story in run.all_stories for problem in _judge_story(story)),
        *_judge_ledger(run),
        *_judge_callbacks(run),
    ]


def _judge_delivery(delivery: Delivery, run: Run) -> Iterator[str]:
    name = f"{delivery.title} ({delivery.kind})"
    if delivery.status != delivery.expected_status:
        yield f"{name}: answered {delivery.status}, not {delivery.expected_status}: {delivery.detail}"
        return
    if not delivery.is_accepted:
        return
    if delivery.repeat is not None and not delivery.is_same_again:
        yield f"{name}: the same delivery sent again was answered with other ids: {delivery.repeat}"
    stories = run.stories.get(str(delivery.submission_id), ())
    if Counter(delivery.record_ids) != Counter(story.record_id for story in stories):
        yield f"{name}: promised the records {delivery.record_ids}, has {[story.record_id for story in stories]}"
    found = Counter(Fate(story.nature, story.reason if story.nature != "lead" else None) for story in stories)
    if found != Counter(delivery.expected):
        yield f"{name}: became {_named(found)}, not {_named(Counter(delivery.expected))}"


def _named(fates: Counter[Fate]) -> str:
    return ", ".join(": ".join(filter(None, fate)) for fate in fates.elements()) or "nothing"


def _judge_story(story: Story) -> Iterator[str]:
    name = f"{story.title} ({story.kind}, record {story.record_id})"
    if story.state not in ENDS:
        yield f"{name}: ended as {story.state}"
    elif story.state == "assigned":
        yield from (f"{name}: {problem}" for problem in _judge_assigned(story))
    else:
        yield from (f"{name}: {problem}" for problem in _judge_others(story))


def _judge_assigned(story: Story) -> Iterator[str]:
    if story.score is None:
        yield "assigned without a score"
    if not _is_allowed(story) or not story.may_contact:
        yield "assigned although consent does not allow contact"
    if story.owner is None:
        yield "assigned by the ledger, but routing knows no owner"
        return
    ids = {callback.id for callback in story.callbacks}
    if len(ids) != 1:
        yield f"{len(ids)} different callbacks reached the CRM; one was to"
        return
    yield from _judge_told(story, story.owner)


def _judge_told(story: Story, owner: Mapping[str, Any]) -> Iterator[str]:
    callback = story.callbacks[0]
    if not all(one.is_verified for one in story.callbacks):
        yield "a callback's signature was not verified"
    if len({one.digest for one in story.callbacks}) != 1:
        yield "one callback came twice with different content"
    told = callback.body["data"]
    if told["owner"]["rep_id"] != owner["rep_id"]:
        yield f"the CRM was told {told['owner']['rep_id']}, routing says {owner['rep_id']}"
    if told["assignment"]["assignment_id"] != owner["assignment_id"]:
        yield "the CRM was told of another assignment than routing's"
    sent = _sent(story)
    if sent != [(callback.id, "delivered")]:
        yield f"the CRM took callback {callback.id}; routing's are {sent}"


def _judge_others(story: Story) -> Iterator[str]:
    if story.callbacks or _sent(story):
        yield f"{story.state}, yet the CRM was told of it"
    if story.owner is not None:
        yield f"{story.state}, yet {story.owner['rep_id']} has it"
    if story.state in {"withheld", "nurtured", "unassigned"} and story.score is None:
        yield f"{story.state} without a score"
    if story.state == "withheld" and (story.consent is None or _is_allowed(story)):
        yield "withheld, yet consent allows contact"
    if story.state in {"nurtured", "unassigned"}:
        if not _is_allowed(story):
            yield f"{story.state} although consent does not allow contact"
        if story.routing is None or not story.routing["decision"]:
            yield f"{story.state}, but routing knows no decision"


def _is_allowed(story: Story) -> bool:
    return story.consent is not None and any(channel["allowed"] for channel in story.consent["channels"])


def _sent(story: Story) -> list[tuple[str, str]]:
    callbacks = story.routing["callbacks"] if story.routing else ()
    return [(callback["callback_id"], callback["state"]) for callback in callbacks]


def _judge_ledger(run: Run) -> Iterator[str]:
    ledger = run.ledger
    if not ledger["balanced"] or ledger["imbalance"] or ledger["differences"]:
        yield f"the ledger does not balance: {ledger['imbalance']} off, differences {ledger['differences']}"
    if ledger["in_flight"]:
        yield f"{ledger['in_flight']} records are still in flight"
    posted = sum(len(delivery.record_ids) for delivery in run.deliveries)
    counted = ledger["accepted"] - run.ledger_before["accepted"]
    if counted < posted or (run.is_alone and counted != posted):
        yield f"the ledger counts {counted} records since the start; the answers promised {posted}"


def _judge_callbacks(run: Run) -> Iterator[str]:
    if run.refused:
        yield f"the CRM refused {run.refused} callbacks for their signature"
    if run.pending_callbacks:
        yield f"{run.pending_callbacks} callbacks are still pending"
    told = Counter(story.lead_id for story in run.all_stories if story.lead_id is not None)
    shared = [lead_id for lead_id, times in told.items() if times > 1]
    if shared:
        yield f"{len(shared)} leads hold several of the people, who are all different, such as {shared[0]}"
