"""A plan of a version of the scoring model, as a person reads it in a terminal."""

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.table import Table

from shared.model_client import Backtest, Mover, PlanResult, Qualified, Slice

MOST_ROWS = 10


def print_plan(out: Console, result: PlanResult) -> None:
    """Print what the version would change, the most important first."""
    out.print(_headline(result))
    out.print(_summary(result))
    out.print(_grades(result))
    for title, slices in (
        ("source", result.by_source),
        ("kind of source", result.by_source_kind),
        ("country", result.by_country),
        ("company size", result.by_company_size),
        ("industry", result.by_industry),
    ):
        out.print(_slices(title, slices))
    if result.rules:
        out.print(_rules(result))
    if result.top_movers:
        out.print(_movers(result.top_movers[:MOST_ROWS]))
    if result.never_fired:
        unused = ", ".join(f"{each.group}/{each.source}" for each in result.never_fired)
        out.print(printable(f"Nobody in this period met {len(result.never_fired)} of its rules and signals: {unused}"))


def printable(text: str) -> str:
    """Return *text*, which may come from anybody, so that it cannot command the terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def describe_backtest(version: str, live: str, backtest: Backtest | None) -> str:
    """Return in a sentence how good *version* is, as its latest backtest measured it, beside the *live* one."""
    if backtest is None:
        return f"Version {version} was never backtested: POST /v1/backtests tells how well it ranks and is calibrated."
    numbers = {"AUC": backtest.auc, "PR-AUC": backtest.pr_auc, "Brier": backtest.brier, "ECE": backtest.ece}
    shown = ", ".join(f"{name} {'unknown' if value is None else f'{value:.3f}'}" for name, value in numbers.items())
    period = f"{backtest.since:%Y-%m-%d} to {backtest.until:%Y-%m-%d}"
    told = f"Backtested on {backtest.leads} leads of {period}, {backtest.positives} with {backtest.outcome}: {shown}."
    if backtest.auc_difference is None or backtest.ranks is None:
        return f"{told} It was not compared with another version."
    against = f"version {backtest.live_version}" + ("" if backtest.live_version == live else ", which is not live now")
    return f"{told} AUC {backtest.auc_difference:+.3f} against {against}: {backtest.ranks.replace('_', ' ')}."


def _headline(result: PlanResult) -> str:
    sampled = f" (a sample of {result.leads_in_period:,})" if result.leads < result.leads_in_period else ""
    return (
        f"version {result.version} beside version {result.live_version}, which was live: {result.leads:,} leads"
        f"{sampled} scored from {result.since:%Y-%m-%d %H:%M} to {result.until:%Y-%m-%d %H:%M} UTC"
    )


def _summary(result: PlanResult) -> Table:
    points = result.points
    table = Table("", "live", "planned", "change")
    table.add_row("points, mean", f"{points.mean_before:.2f}", f"{points.mean_after:.2f}", f"{points.mean:+.2f}")
    table.add_row("  10th, 50th, 90th percentile", "", "", f"{points.p10:+.2f} {points.p50:+.2f} {points.p90:+.2f}")
    table.add_row("  leads", "", "", f"{points.leads_up:,} up, {points.leads_down:,} down")
    table.add_row("grade", "", "", f"{result.grade_changed:,} leads change")
    for name, count in (
        ("MQLs in the period", result.qualified),
        ("MQLs at its end", result.qualified_at_end),
    ):
        table.add_row(name, f"{count.before:,}", f"{count.after:,}", _gained(count))
    before, after = result.crossings_before, result.crossings_after
    for name, was, now in (
        ("became MQL, times", before.entered, after.entered),
        ("stopped being one, times", before.left, after.left),
        ("  of these by decay", before.left_by_decay, after.left_by_decay),
    ):
        table.add_row(name, f"{was:,}", f"{now:,}", f"{now - was:+,}")
    return table


def _grades(result: PlanResult) -> Table:
    counts = {(each.before, each.after): each.leads for each in result.grades}
    table = Table("grade: live, then planned", *"ABCD")
    for before in "ABCD":
        table.add_row(before, *(f"{counts.get((before, after), 0):,}" for after in "ABCD"))
    return table


def _slices(title: str, slices: Sequence[Slice]) -> Table:
    table = Table(title, "leads", "points live", "planned", "grade changed", "MQLs live", "planned", "change")
    for each in slices[:MOST_ROWS]:
        table.add_row(
            printable(each.value),
            f"{each.leads:,}",
            f"{each.mean_before:.2f}",
            f"{each.mean_after:.2f}",
            f"{each.grade_changed:,}",
            f"{each.qualified.before:,}",
            f"{each.qualified.after:,}",
            _gained(each.qualified),
        )
    return table


def _rules(result: PlanResult) -> Table:
    table = Table("what moves the points", "leads", "points in all")
    for each in result.rules[:MOST_ROWS]:
        table.add_row(_part(each.group, each.source), f"{each.leads:,}", f"{each.points:+,.2f}")
    return table


def _movers(movers: Sequence[Mover]) -> Table:
    table = Table()
    table.add_column("lead that moves far", no_wrap=True)  # whole, however long the reasons are: an id is to be copied
    for header in ("points", "grade", "MQL", "because of"):
        table.add_column(header, overflow="fold")
    for each in movers:
        table.add_row(
            each.lead_id,
            f"{each.points_before:.2f} > {each.points_after:.2f}",
            f"{each.grade_before} > {each.grade_after}",
            f"{_yes(each.is_mql_before)} > {_yes(each.is_mql_after)}",
            ", ".join(_reasons(each)),
        )
    return table


def _reasons(mover: Mover) -> Iterator[str]:
    for part in mover.because:
        yield f"{_part(part.group, part.source)} {part.after - part.before:+.2f}"


def _part(group: str | None, source: str) -> str:
    return f"{group}/{source}" if group else source


def _gained(count: Qualified) -> str:
    return f"{count.gained:,} gained, {count.lost:,} lost"


def _yes(value: bool) -> str:  # noqa: FBT001 - a value to show
    return "yes" if value else "no"
