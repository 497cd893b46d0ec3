"""Leads that never lived, with a truth that is known: what a model that learns from them can be held against.

For tests, demonstrations and benchmarks. The same seed makes the same leads.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, cast

import numpy as np
import numpy.typing as npt

from scoring.domain.activity import Activity
from scoring.domain.decision import Profile
from shared.contracts import ActivityKind, EmailKind, Facts, Lead, Origin, Seniority

Floats = npt.NDArray[np.float64]

INTERCEPT: Final = -3.0
HALF_LIFE_DAYS: Final = 14.0
UNKNOWN_SIZE: Final = -0.4
PER_LOG_EMPLOYEE: Final = 0.22  # smooth in the size: no band of the model's features is exactly right

# Level: (share of the leads, log-odds).
SENIORITY: Final[dict[Seniority, tuple[float, float]]] = {
    "c_level": (0.05, 1.2), "vp": (0.08, 0.9), "director": (0.12, 0.6), "manager": (0.25, 0.2), "senior": (0.1, -0.1),
    "individual": (0.2, -0.5), "student": (0.05, -1.5), "unknown": (0.15, -0.3),
}  # fmt: skip
EMAIL: Final[dict[EmailKind, tuple[float, float]]] = {
    "business": (0.6, 0.4), "free": (0.25, -0.6), "role": (0.08, -0.3), "student": (0.05, -1.2), "unknown": (0.02, 0.0),
}  # fmt: skip
INDUSTRY: Final[dict[str | None, tuple[float, float]]] = {
    "Software": (0.25, 0.8), "Banking": (0.15, 0.4), "Manufacturing": (0.15, 0.0), "Retail": (0.15, -0.3),
    "Education": (0.1, -0.7), None: (0.2, -0.2),
}  # fmt: skip
SOURCE: Final = {"web_form": (0.6, 0.0), "webinar": (0.2, 0.3), "ad_platform": (0.2, -0.5)}
COUNTRY: Final = {"DE": (0.3, 0.0), "US": (0.3, 0.0), "GB": (0.2, 0.0), "FR": (0.15, 0.0), "BR": (0.05, 0.0)}
# Kind: (mean occurrences per lead, log-odds per log(1 + decayed occurrences)).
BEHAVIOUR: Final[dict[ActivityKind, tuple[float, float]]] = {
    "website_visit": (1.5, 0.3), "content_download": (0.5, 0.6), "email_open": (1.0, 0.0), "email_click": (0.4, 0.4),
    "webinar_attendance": (0.2, 0.9), "demo_request": (0.15, 1.8), "trial_usage": (0.15, 1.3),
    "unsubscribe": (0.05, -1.2),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class SyntheticLead:
    """A lead at the instant it is judged, its true log-odds, and what became of it (``won_at``: None = nothing)."""

    number: int
    at: datetime
    profile: Profile
    activities: tuple[Activity, ...]
    log_odds: float
    won_at: datetime | None


def make_population(
    size: int,
    *,
    seed: int,
    since: datetime,
    until: datetime,
    horizon_days: int = 30,
    intercept: float = INTERCEPT,
) -> list[SyntheticLead]:
    """Return *size* leads, judged evenly from *since* to *until*, in that order. Each that is won is so within
    *horizon_days*. The default *intercept* has one in seven won."""
    draw = np.random.default_rng(seed)
    log_odds = np.full(size, intercept)
    choices: dict[str, list[Any]] = {}
    for name, table in _TABLES.items():
        picked = draw.choice(len(table), size, p=[share for share, _ in table.values()])
        log_odds += np.array([effect for _, effect in table.values()])[picked]
        levels = list(table)
        choices[name] = [levels[index] for index in picked]
    employees, effect = _draw_employees(draw, size)
    log_odds += effect
    ages = {kind: _draw_ages(draw, size, mean) for kind, (mean, _) in BEHAVIOUR.items()}
    for kind, (_, weight) in BEHAVIOUR.items():
        log_odds += weight * np.log1p([np.exp2(-each / HALF_LIFE_DAYS).sum() for each in ages[kind]])
    won = draw.random(size) < 1 / (1 + np.exp(-log_odds))
    delays = draw.uniform(0.02, 0.98, size) * horizon_days
    step = (until - since) / size
    population = []
    for number in range(size):
        at = since + number * step
        profile = _profile(number, at, {name: values[number] for name, values in choices.items()}, employees[number])
        population.append(
            SyntheticLead(
                number=number,
                at=at,
                profile=profile,
                activities=_activities(number, at, {kind: each[number] for kind, each in ages.items()}),
                log_odds=float(log_odds[number]),
                won_at=at + timedelta(days=float(delays[number])) if won[number] else None,
            )
        )
    return population


_TABLES: Final[dict[str, dict[Any, tuple[float, float]]]] = {
    "seniority": cast(dict[Any, tuple[float, float]], SENIORITY),
    "email_kind": cast(dict[Any, tuple[float, float]], EMAIL),
    "industry": cast(dict[Any, tuple[float, float]], INDUSTRY),
    "source_kind": cast(dict[Any, tuple[float, float]], SOURCE),
    "country": cast(dict[Any, tuple[float, float]], COUNTRY),
}


def _draw_employees(draw: np.random.Generator, size: int) -> tuple[list[int | None], Floats]:
    """Return how many people work there, log-normal around 100, unknown for one in five; and the effect of it."""
    number = np.ceil(draw.lognormal(4.6, 1.8, size)).clip(1, 200_000)
    is_unknown = draw.random(size) < 0.2
    effect = np.where(is_unknown, UNKNOWN_SIZE, PER_LOG_EMPLOYEE * (np.log(number) - 4.6))
    return [None if missing else int(each) for each, missing in zip(number, is_unknown, strict=True)], effect


def _draw_ages(draw: np.random.Generator, size: int, mean: float) -> list[Floats]:
    """Return for each lead how many days ago it did a thing, for each time it did."""
    counts = draw.poisson(mean, size)
    ages = draw.exponential(12.0, int(counts.sum()))
    return np.split(ages, np.cumsum(counts)[:-1])


def _profile(number: int, at: datetime, levels: dict[str, Any], employees: int | None) -> Profile:
    return Profile(
        origin=Origin(
            submission_id=f"submission-{number}",
            record_id=f"record-{number}",
            source_key="synthetic",
            source_kind=levels["source_kind"],
            received_at=at,
            is_new_lead=True,
        ),
        lead=Lead(country=levels["country"], industry=levels["industry"], employees=employees),
        facts=Facts(seniority=levels["seniority"], email_kind=levels["email_kind"], subject_kind="corporate"),
    )


def _activities(number: int, at: datetime, ages: dict[ActivityKind, Floats]) -> tuple[Activity, ...]:
    done = []
    for kind, days in ages.items():
        for index, age in enumerate(days):
            moment = at - timedelta(days=float(age))
            done.append(
                Activity(activity_id=f"{number}-{kind}-{index}", kind=kind, occurred_at=moment, known_at=moment)
            )
    return tuple(done)
