"""From leads in the order of time to a model that is calibrated and measured on leads newer than those it learned from.

Oldest 70 %: the coefficients. Next 15 %: the calibration. Newest 15 %: the measures. A gap of the horizon lies before
the calibration only. Another one behind it would cost newer leads than it is worth: two numbers are learned there, and
the order of leads (AUC) does not depend on them.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import numpy as np

from scoring.jobs.kinds import JobRefused
from scoring.prediction.examples import Columns, Examples, design, learn_columns
from scoring.prediction.fitting import Coefficients, calibrate, compile_predictive_model, fit, refresh
from scoring.prediction.measures import measure
from scoring.prediction.model import PredictiveModel
from scoring.prediction.report import DroppedInput, Part, TrainingReport

FEWEST_TO_LEARN: Final = 50  # with and without the outcome, each: below, an AUC wavers by more than 0.1 from luck alone
FEWEST_TO_MEASURE: Final = 20  # the same, for calibration and evaluation
OLDER: Final = 0.7
DAY: Final = 86_400


@dataclass(frozen=True, slots=True)
class Learned:
    """``learned_until``: leads from this instant on had no part in the coefficients; a refresh begins here."""

    model: PredictiveModel
    coefficients: Coefficients
    learned_until: datetime
    report: TrainingReport


@dataclass(frozen=True, slots=True)
class Split:
    """Leads by time. ``still_open``: how many before the calibration had no known outcome when it begins."""

    training: Examples
    calibration: Examples
    evaluation: Examples
    still_open: int
    learned_until: float


def learn(
    examples: Examples,
    *,
    horizon_days: int,
    half_life_days: float,
    had_outcome: int = 0,
    before: Coefficients | None = None,
) -> Learned:
    """Learn from *examples*, anew or (*before*) on top of what was learned. Errors: `JobRefused`: too few outcomes,
    no input that differs, or an order that newer leads do not confirm."""
    split = split_by_time(examples, horizon_days)
    parts = {
        "training": part_of(split.training),
        "calibration": part_of(split.calibration),
        "evaluation": part_of(split.evaluation),
    }
    _refuse_too_few(parts)
    strength: float | None = None
    dropped: list[DroppedInput] = []
    if before is None:
        columns, dropped = learn_columns(split.training)
        _refuse_without_inputs(columns)
        coefficients, strength = fit(split.training, columns)
    else:
        coefficients = refresh(before, split.training)
    slope, shift = calibrate(
        coefficients.log_odds(design(split.calibration, coefficients.columns)), split.calibration.is_good
    )
    if slope <= 0:
        raise JobRefused(
            "What was learned from the older leads puts the newer ones in no better order than chance does: nothing to"
            f" predict with (calibration slope {slope:.2f} on {len(split.calibration)} leads)."
        )
    log_odds = slope * coefficients.log_odds(design(split.evaluation, coefficients.columns)) + shift
    probability = 1 / (1 + np.exp(-np.clip(log_odds, -30, 30)))
    return Learned(
        model=compile_predictive_model(
            coefficients, (slope, shift), split.training, horizon_days=horizon_days, half_life_days=half_life_days
        ),
        coefficients=coefficients,
        learned_until=datetime.fromtimestamp(split.learned_until, UTC),
        report=TrainingReport(
            **parts,
            still_open=split.still_open,
            had_outcome=had_outcome,
            dropped=dropped,
            strength=strength,
            slope=slope,
            shift=shift,
            measures=measure(probability, split.evaluation.is_good, split.evaluation.points),
        ),
    )


def split_by_time(examples: Examples, horizon_days: int) -> Split:
    """Cut *examples* (in the order of time) where 70 % are older.

    Older leads whose horizon reaches over the cut are left out: at the cut nobody could have known what becomes of
    them, so a model measured on what follows must not know it either.
    """
    size = len(examples)
    if size == 0:
        nobody = examples.take(slice(0, 0))
        return Split(nobody, nobody, nobody, 0, 0.0)
    cut = float(examples.at[min(int(size * OLDER), size - 1)])
    learned_until = cut - horizon_days * DAY
    newer = int(np.searchsorted(examples.at, cut, "left"))
    known = int(np.searchsorted(examples.at, learned_until, "left"))
    middle = newer + (size - newer) // 2
    return Split(
        training=examples.take(slice(0, known)),
        calibration=examples.take(slice(newer, middle)),
        evaluation=examples.take(slice(middle, size)),
        still_open=newer - known,
        learned_until=learned_until,
    )


def part_of(examples: Examples) -> Part:
    """Return how many leads of which time these are."""
    times = [datetime.fromtimestamp(float(at), UTC) for at in examples.at[[0, -1]]] if len(examples) else [None, None]
    return Part(leads=len(examples), good=examples.good, since=times[0], until=times[1])


def _refuse_too_few(parts: dict[str, Part]) -> None:
    missing = []
    for name, part in parts.items():
        fewest = FEWEST_TO_LEARN if name == "training" else FEWEST_TO_MEASURE
        if part.good < fewest or part.leads - part.good < fewest:
            missing.append(
                f"{name} has {part.good} leads with the outcome and {part.leads - part.good} without, and needs"
                f" {fewest} of each"
            )
    if missing:
        raise JobRefused(f"Too few outcomes to learn from: {'; '.join(missing)}. Take a longer period, or wait.")


def _refuse_without_inputs(columns: Columns) -> None:
    if not len(columns):
        raise JobRefused(
            "Every input is the same for all leads (or for all but fewer than 20): there is nothing to tell them apart"
            " by."
        )
