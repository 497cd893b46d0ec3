"""The demo's tables."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from rich.console import Console, JustifyMethod
from rich.table import Table

from local_stack.demo.checks import Run
from local_stack.demo.posting import Delivery
from local_stack.demo.speed import Buckets, count_of, estimate, percentile
from local_stack.demo.story import Story

STAGES = ("enriched", "scored", "consented", "assigned", "callback")
SHARES = (0.5, 0.9, 0.99)


def print_run(console: Console, run: Run, samples: int, observed: Mapping[str, Buckets]) -> None:
    """Print everything: what the first *samples* deliveries became, all leads, the ledger, the speed.

    *observed*: what the services' histograms saw of the stages of which no instant is stored.
    """
    _print_samples(console, run.deliveries[:samples], run.stories)
    _print_leads(console, [story for story in run.all_stories if story.nature == "lead"])
    _print_ledger(console, run)
    _print_stages(console, run.all_stories, observed)


def print_urls(console: Console, urls: Mapping[str, str]) -> None:
    """Print where each service's documentation and metrics are."""
    table = _table("service", "docs", "metrics")
    for name, url in urls.items():
        table.add_row(name, f"{url}/docs", f"{url}/metrics")
    console.print(table)


def _print_samples(console: Console, deliveries: Sequence[Delivery], stories: Mapping[str, Sequence[Story]]) -> None:
    table = _table("delivery", "answer", "became", "sent again")
    for delivery in deliveries:
        became = "; ".join(map(_became, stories.get(str(delivery.submission_id), ())))
        again = "" if delivery.repeat is None else "the same ids" if delivery.is_same_again else "OTHER IDS"
        table.add_row(delivery.title, str(delivery.status), became, again)
    console.print(table)


def _became(story: Story) -> str:
    return f"lead, {story.state}" if story.nature == "lead" else f"{story.state}: {story.reason}"


def _print_leads(console: Console, stories: Sequence[Story]) -> None:
    table = _table("lead", "source", "score", "consent", "owner, or why none", "callback", "ms to callback")
    for story in stories:
        name = story.title if story.title.endswith(".") else "sample"
        table.add_row(name, story.kind, _score(story), _consent(story), _end(story), *_callback(story))
    console.print(table)


def _score(story: Story) -> str:
    return f"{story.score['decided']['points']:>3.0f} {story.score['decided']['grade']}" if story.score else ""


def _consent(story: Story) -> str:
    if story.consent is None:
        return ""
    allowed = [channel for channel in story.consent["channels"] if channel["allowed"]]
    explaining = (allowed or story.consent["channels"])[0]
    channels = "+".join(channel["channel"] for channel in allowed)
    return f"{channels or 'none'} ({explaining['rule_id']}: {explaining['reason']})"


def _end(story: Story) -> str:
    if story.state == "assigned" and story.owner is not None:
        return f"{story.owner['rep_name']} ({story.owner['rule_id']})"
    if story.state == "withheld":
        return "withheld by consent"
    decision = story.routing["decision"] if story.routing else None
    reason = decision["trace"]["reason"] if decision else story.reason
    return f"{story.state}: {reason}" if reason else story.state


def _callback(story: Story) -> tuple[str, str]:
    if story.callbacks:
        return "verified", f"{story.stages['callback']:.0f}"
    sent = story.routing["callbacks"] if story.routing else ()
    return ", ".join(callback["state"] for callback in sent), ""


def _print_ledger(console: Console, run: Run) -> None:
    table = _table("ledger", "this run", "all kept")
    mine = Counter(story.state for story in run.all_stories)
    kept = {**run.ledger["mapped_by_state"], **{name: run.ledger[name] for name in _OTHER_STATES}}
    for state, count in kept.items():
        if count or mine[state]:
            table.add_row(state, str(mine[state]), str(count))
    table.add_row("accepted", str(mine.total()), f"{run.ledger['accepted']}")
    console.print(table)
    is_balanced = run.ledger["balanced"] and not run.ledger["differences"]
    console.print("accepted = the sum of all states" if is_balanced else "THE LEDGER DOES NOT BALANCE")


def _print_stages(console: Console, stories: Sequence[Story], observed: Mapping[str, Buckets]) -> None:
    table = _table("milliseconds from receipt to", "count", *(f"p{share * 100:.0f}" for share in SHARES), "from")
    for stage, count, values, origin in _stage_rows(stories, observed):
        table.add_row(stage, str(count), *(f"{value * 1000:.0f}" for value in values), origin)
    console.print(table)


def _stage_rows(
    stories: Sequence[Story], observed: Mapping[str, Buckets]
) -> Iterator[tuple[str, int, list[float], str]]:
    for stage, buckets in observed.items():
        if count := count_of(buckets):
            yield stage, count, [estimate(buckets, share) for share in SHARES], "histogram, interpolated"
    for stage in STAGES:
        spans = sorted(story.stages[stage] / 1000 for story in stories if stage in story.stages)
        if spans:
            yield stage, len(spans), [percentile(spans, share) for share in SHARES], "stored instants, exact"


_OTHER_STATES = ("activity", "ignored", "quarantined", "discarded")


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        # Narrow terminals get a second line in the columns of words; the numbers stay whole.
        justify: JustifyMethod = "right" if column in _NUMBERS else "left"
        table.add_column(column, no_wrap=column not in _WORDS, overflow="fold", justify=justify)
    return table


_WORDS = frozenset({"delivery", "became", "consent", "owner, or why none", "from"})
_NUMBERS = frozenset({"answer", "ms to callback", "count", "p50", "p90", "p99", "this run", "all kept"})


def summarize(run: Run) -> str:
    """Return the run in a sentence."""
    accepted = sum(delivery.is_accepted for delivery in run.deliveries)
    stories = run.all_stories
    ends = Counter(story.state for story in stories)
    told = sum(bool(story.callbacks) for story in stories)
    return (
        f"{accepted} deliveries accepted, {len(run.deliveries) - accepted} refused; {len(stories)} records: "
        + ", ".join(f"{count} {state}" for state, count in ends.most_common())
        + f"; {told} leads told to the CRM, {run.refused} callbacks refused by it."
    )
