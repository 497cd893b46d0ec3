"""A lead at an instant: what was known of it, and where it stands by the model that speaks for that instant."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Path, Query

from scoring.domain.model import ScoringModel
from scoring.domain.standing import Standing, stand_at
from scoring.repository import KnownAt, ScoringRepository
from shared.documents import DocumentInvalid, DocumentNotFound
from shared.http import Instant, Problem

LeadId = Annotated[UUID, Path(description="The lead.")]
At = Annotated[
    Instant | None,
    Query(description="Score at this instant: with what was known then, or, in the future, after decay. Default: now."),
]


@dataclass(frozen=True, slots=True)
class LeadAt:
    """``standing`` is by the formula; ``known.decision`` is what other services acted on."""

    at: datetime
    version: str
    model: ScoringModel
    known: KnownAt
    standing: Standing


async def get_lead_at(repo: ScoringRepository, lead_id: str, at: datetime | None, now: datetime) -> LeadAt:
    """Return the lead as of *at* (``None`` = *now*). Errors: `Problem` 404 if it was not scored by then, 409 if this
    release cannot read the version that speaks.

    The past speaks with the version that decided then, the present and the future with the live one.
    """
    instant = now if at is None else at
    with readable_version():
        known = await repo.find_known_at(lead_id, instant)
    if known is None:
        raise no_score(is_past=at is not None and instant < now)
    version = known.decision["model_version"] if instant < now else repo.live_model.version
    model = await get_model(repo, version)
    profile = known.profile
    standing = stand_at(
        model, profile.lead, profile.facts, known.scored_activities, instant, was_mql=known.decision["is_mql"]
    )
    return LeadAt(instant, version, model, known, standing)


async def get_model(repo: ScoringRepository, version: str, *, pointer: str = "/model_version") -> ScoringModel:
    """Return a stored version of the model, asked for at *pointer*. Errors: `Problem` 404, 409 if this release cannot
    read it."""
    if version == repo.live_model.version:
        return repo.live_model.value
    with readable_version(pointer):
        return await repo.get_model(version)


@contextmanager
def readable_version(pointer: str = "/model_version") -> Iterator[None]:
    """Answer for a version that is not stored, or that another release stored. Errors: `Problem` 404, 409."""
    try:
        yield
    except DocumentNotFound:
        raise Problem(
            404,
            "model_version_not_found",
            "No such version of the scoring model",
            errors=[{"pointer": pointer, "detail": "not a stored version"}],
        ) from None
    except DocumentInvalid as error:
        raise Problem(
            409, "unreadable_version", "This release cannot read that version", errors=error.errors
        ) from error


def no_score(*, is_past: bool) -> Problem:
    """Return the answer for a lead that was not scored."""
    detail = "It was not scored by this instant." if is_past else "It was not scored yet, or does not exist."
    return Problem(404, "score_not_found", "This lead has no score", detail=detail)
