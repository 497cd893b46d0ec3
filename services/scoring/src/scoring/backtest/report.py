"""From judged leads to the numbers of a backtest, or to the sentence that says why there are none."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, get_args

import numpy as np

from scoring.backtest.calibration import HOW_CALIBRATED, Calibration, calibrate, choose_boundary, find_refusal
from scoring.backtest.drift import Half, inputs_of, measure_drift
from scoring.backtest.measures import rank_bands, wilson_interval
from scoring.backtest.request import BacktestRequest
from scoring.backtest.resampling import DIGITS, RESAMPLES, Booleans, Cells, Draws, Statistic, count_cells, draw
from scoring.backtest.sample import HOW_CHOSEN, Fate, Judgement, KnownLead
from scoring.domain.model import Grade
from scoring.jobs.kinds import JobRefused
from scoring.prediction.measures import Ranking

FEWEST_OUTCOMES: Final = 30  # with 30 of each the interval of an AUC is about 0.15 wide: any less says nothing
DECILES: Final = 10
HOW_RANKED: Final = (
    "AUC, PR-AUC and the tables by decile and grade are of all judged leads: ranking needs no fitting. Leads with the"
    " same points are never torn apart, so a decile may be larger than a tenth, or missing."
)


@dataclass(slots=True)
class Population:
    """What is kept of the leads of a period, column by column. ``points``, ``grades``: one list per version.
    ``decided``: how many leads there were; more than are kept if there were very many."""

    versions: tuple[str, ...]
    decided: int
    fates: Counter[Fate] = field(default_factory=Counter)
    without_submission: int = 0
    decided_at: list[datetime] = field(default_factory=list)
    reached: list[bool] = field(default_factory=list)
    points: list[list[int]] = field(init=False)
    grades: list[list[Grade]] = field(init=False)
    halves: tuple[Half, Half] = field(default_factory=lambda: (Half(), Half()))

    def __post_init__(self) -> None:
        """Make a column for each version."""
        self.points = [[] for _ in self.versions]
        self.grades = [[] for _ in self.versions]

    def add_latest(self, known: KnownLead, score: tuple[int, Grade], middle: datetime) -> None:
        """Take a lead, judged or not, as of its latest submission, for drift: (hundredths, grade) by the version."""
        points, grade = score
        self.halves[known.at >= middle].add(points, inputs_of(known, grade))

    def add(self, judgement: Judgement, scores: Sequence[tuple[int, Grade]]) -> None:
        """Take a lead with its (hundredths, grade) by each version."""
        self.fates[judgement.fate] += 1
        if judgement.fate == "judged":
            self.decided_at.append(judgement.known.at)
            self.reached.append(judgement.reached)
            for place, (points, grade) in enumerate(scores):
                self.points[place].append(points)
                self.grades[place].append(grade)


def check_outcomes(population: Population, request: BacktestRequest) -> None:
    """Make sure there is something to measure. Errors: `JobRefused` with the numbers."""
    leads, positives = len(population.reached), sum(population.reached)
    if leads == 0 and population.fates["censored"]:
        message = (
            f"None of the {population.fates['censored']} leads decided in the period has passed its horizon of"
            f" {request.horizon_days} days yet. Choose an earlier period or a shorter horizon."
        )
        raise JobRefused(message)
    for number, what in ((positives, "with"), (leads - positives, "without")):
        if number < FEWEST_OUTCOMES:
            message = (
                f"Of {leads} leads that can be judged, {number} are {what} the outcome '{request.outcome}'; at least"
                f" {FEWEST_OUTCOMES} are needed. {_not_judged(population)}"
            )
            raise JobRefused(message)
    if len(set(population.points[0])) == 1:
        message = (
            f"Version {population.versions[0]} gives all {leads} leads that can be judged the same score,"
            f" {population.points[0][0] / 100:g} points: there is nothing to rank."
        )
        raise JobRefused(message)


def report(population: Population, request: BacktestRequest) -> dict[str, Any]:
    """Return the result of a backtest of the first of the population's versions, compared with the second if there
    is one. `check_outcomes` has passed."""
    leads, positives = len(population.reached), sum(population.reached)
    labels = np.array(population.reached)
    cells = count_cells(population.points, population.reached)
    ranked = draw(cells, _rankings(cells))
    boundary = choose_boundary(sorted(population.decided_at), request.horizon)
    fitting, judged = _parts(population, boundary, request)
    refusal = find_refusal(fitting, judged, boundary)
    calibrations: list[Calibration] = []
    calibrated: dict[str, Draws] = {}
    if refusal is None and fitting is not None and judged is not None:
        calibrations = [calibrate(fitting, judged, place) for place in range(len(population.versions))]
        statistics = [each.statistics(f"{place}.") for place, each in enumerate(calibrations)]
        calibrated = draw(judged, {name: one for each in statistics for name, one in each.items()})
    measured = [
        {
            "version": version,
            **{name: ranked[f"{place}.{name}"].summary() for name in ("auc", "pr_auc")},
            "calibration": _calibration(calibrations, calibrated, place, refusal, boundary, fitting),
            "deciles": _deciles(np.array(population.points[place]), labels),
            "grades": _grades(population.grades[place], population.reached),
        }
        for place, version in enumerate(population.versions)
    ]
    low, high = wilson_interval(positives, leads)
    result = {
        "version": request.version,
        "since": request.since.isoformat(),
        "until": request.until.isoformat(),
        "horizon_days": request.horizon_days,
        "outcome": request.outcome,
        "leads": {
            "decided": population.decided,
            "judged": leads,
            "positives": positives,
            "base_rate": {"value": _rounded(positives / leads), "low": _rounded(low), "high": _rounded(high)},
            "censored": population.fates["censored"],
            "already_reached": population.fates["already_reached"],
            "without_submission": population.without_submission,
        },
        "measured": measured[0],
        "live": measured[1] if len(measured) > 1 else None,
        "comparison": _compare({**ranked, **calibrated}) if len(measured) > 1 else None,
        "drift": measure_drift(*population.halves),
        "method": _method(population),
    }
    return {"headline": _headline(result), **result}


def _method(population: Population) -> list[str]:
    read = population.fates.total() + population.without_submission
    sampled = f"Of the {population.decided} leads, a sample of {read} was looked at, the same each time."
    intervals = (
        f"Intervals are 95 %, percentiles of {RESAMPLES} bootstrap samples; of versions compared, on the same samples."
        " A resample adds to the ECE: its percentiles are mirrored at the value."
    )
    return [HOW_CHOSEN, *([sampled] if read < population.decided else []), HOW_RANKED, HOW_CALIBRATED, intervals]


def _not_judged(population: Population) -> str:
    return (
        f"Not judged: {population.fates['censored']} whose horizon has not passed yet,"
        f" {population.fates['already_reached']} that had reached it before, {population.without_submission} that"
        " submitted nothing in the period."
    )


def _rankings(cells: Cells) -> dict[str, Statistic]:
    rankings = [Ranking(row.astype(np.float64), cells.labels) for row in cells.points]
    statistics: dict[str, Statistic] = {}
    for place, ranking in enumerate(rankings):
        statistics[f"{place}.auc"] = ranking.auc
        statistics[f"{place}.pr_auc"] = ranking.pr_auc
    return statistics


def _parts(population: Population, boundary: datetime, request: BacktestRequest) -> tuple[Cells | None, Cells | None]:
    """Return the leads that the mapping may learn from, and those it is judged on."""
    early = [at + request.horizon <= boundary for at in population.decided_at]
    late = [at >= boundary for at in population.decided_at]
    return _cells_of(population, early), _cells_of(population, late)


def _cells_of(population: Population, wanted: Sequence[bool]) -> Cells | None:
    rows = np.flatnonzero(np.array(wanted))
    if not rows.size:
        return None
    return count_cells(np.array(population.points)[:, rows].tolist(), np.array(population.reached)[rows].tolist())


def _calibration(
    calibrations: Sequence[Calibration],
    drawn: dict[str, Draws],
    place: int,
    refusal: str | None,
    boundary: datetime,
    fitting: Cells | None,
) -> dict[str, Any]:
    if not calibrations or fitting is None:
        return {"refused": refusal}
    calibration = calibrations[place]
    judged = calibration.judged
    base_rate = fitting.positives / fitting.leads
    return {
        "refused": None,
        "judged_from": boundary.isoformat(),
        "fitted_on": {"leads": fitting.leads, "positives": fitting.positives},
        "judged_on": {"leads": judged.leads, "positives": judged.positives},
        "brier": drawn[f"{place}.brier"].summary(),
        "brier_of_base_rate": _rounded(float(judged.counts @ (judged.labels - base_rate) ** 2 / judged.leads)),
        "ece": drawn[f"{place}.ece"].summary(is_raised=True, lowest=0.0),
        "ece_by_chance": _rounded(calibration.error_by_chance()),
        "reliability": calibration.reliability(),
        "mapping": calibration.steps,
    }


def _deciles(points: "np.ndarray[Any, Any]", labels: Booleans) -> list[dict[str, Any]]:
    groups, place = np.unique(-points, return_inverse=True)  # highest first
    leads = np.bincount(place).tolist()
    positives = np.bincount(place[labels], minlength=len(groups)).tolist()
    rows: dict[int, dict[str, Any]] = {}
    for band, group, number, reached in zip(rank_bands(leads, DECILES), groups.tolist(), leads, positives, strict=True):
        row = rows.setdefault(band, {"decile": band + 1, "points_to": -group / 100, "leads": 0, "positives": 0})
        row["points_from"] = -group / 100
        row["leads"] += number
        row["positives"] += reached
    return [_with_rate(row) for row in rows.values()]


def _grades(grades: Sequence[Grade], reached: Sequence[bool]) -> list[dict[str, Any]]:
    leads = Counter(grades)
    positives = Counter(grade for grade, is_positive in zip(grades, reached, strict=True) if is_positive)
    rows = ({"grade": each, "leads": leads[each], "positives": positives[each]} for each in get_args(Grade))
    return [_with_rate(row) for row in rows if row["leads"]]


def _with_rate(row: dict[str, Any]) -> dict[str, Any]:
    low, high = wilson_interval(row["positives"], row["leads"])
    rate = row["positives"] / row["leads"]
    return {**row, "rate": _rounded(rate), "low": _rounded(low), "high": _rounded(high)}


def _compare(drawn: dict[str, Draws]) -> dict[str, Any]:
    """Return version minus live, on the same leads and the same resamples."""
    differences = {
        name: drawn[f"0.{name}"].minus(drawn[f"1.{name}"]).summary(is_raised=name == "ece")
        for name in ("auc", "pr_auc", "brier", "ece")
        if f"0.{name}" in drawn
    }
    auc = differences["auc"]
    verdict = "better" if auc["low"] > 0 else "worse" if auc["high"] < 0 else "no_clear_difference"
    return {"ranks": verdict, **differences}


def _headline(result: dict[str, Any]) -> dict[str, Any]:
    """Return what a list of backtests shows."""
    calibration, comparison = result["measured"]["calibration"], result["comparison"]
    return {
        "leads": result["leads"]["judged"],
        "positives": result["leads"]["positives"],
        "base_rate": result["leads"]["base_rate"]["value"],
        "auc": result["measured"]["auc"]["value"],
        "pr_auc": result["measured"]["pr_auc"]["value"],
        "brier": None if calibration["refused"] else calibration["brier"]["value"],
        "ece": None if calibration["refused"] else calibration["ece"]["value"],
        "live_version": None if result["live"] is None else result["live"]["version"],
        "ranks": None if comparison is None else comparison["ranks"],
        "auc_difference": None if comparison is None else comparison["auc"]["value"],
        "psi": {row["input"]: row["psi"] for row in result["drift"] if row["psi"] is not None},
    }


def _rounded(value: float) -> float:
    return round(value, DIGITS)
