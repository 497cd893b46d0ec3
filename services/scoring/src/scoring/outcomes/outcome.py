"""What the CRM reported of a lead, which of it stands when reports contradict each other, and the label it gives."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final, Literal, get_args

import msgspec

OutcomeKind = Literal["accepted", "rejected", "opportunity", "won", "lost"]
OUTCOME_KINDS: Final[frozenset[str]] = frozenset(get_args(OutcomeKind))

Goal = Literal["opportunity", "won", "accepted"]
"""What a score is asked to foresee."""

# Stages may be skipped: a deal, won or lost, was an opportunity, and sales had accepted the lead of every opportunity.
_DEAL: Final[frozenset[OutcomeKind]] = frozenset({"opportunity", "won", "lost"})
REACHES: Final[dict[Goal, frozenset[OutcomeKind]]] = {
    "accepted": _DEAL | {"accepted"},
    "opportunity": _DEAL,
    "won": frozenset({"won"}),
}

# An opportunity that came about did come about, whatever is said later; a rejection does not outlive progress.
_CONTRADICTED_BY: Final[dict[OutcomeKind, frozenset[OutcomeKind]]] = {
    "accepted": frozenset({"rejected"}),
    "rejected": frozenset({"accepted", "opportunity", "won"}),
    "opportunity": frozenset(),
    "won": frozenset({"lost"}),
    "lost": frozenset({"won"}),
}


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """One report. ``reason``: the CRM's code, mostly of a rejection. Both instants are aware UTC."""

    activity_id: str
    kind: OutcomeKind
    occurred_at: datetime
    known_at: datetime
    reason: str | None = None

    @property
    def happened_at(self) -> datetime:
        """When it happened; never later than it was known, whatever the sender's clock says."""
        return min(self.occurred_at, self.known_at)


class Weighed(msgspec.Struct, frozen=True):
    """An outcome and whether it counts. ``contradicted_by``: the later report that says otherwise;
    ``repeats``: the report of the same that counts instead."""

    outcome: Outcome
    contradicted_by: Outcome | None = None
    repeats: Outcome | None = None

    @property
    def counts(self) -> bool:
        """Say if the outcome stands."""
        return self.contradicted_by is None and self.repeats is None

    @property
    def why(self) -> str:
        """Say in a sentence why it counts or does not."""
        if self.contradicted_by is not None:
            later = self.contradicted_by
            return f"contradicted by '{later.kind}' of {later.happened_at:%Y-%m-%dT%H:%M:%SZ}, which happened later"
        if self.repeats is not None:
            return f"said before, of {self.repeats.happened_at:%Y-%m-%dT%H:%M:%SZ}; the first report counts"
        return "nothing that happened later contradicts it"


def weigh(outcomes: Iterable[Outcome]) -> list[Weighed]:
    """Return the outcomes of one lead in the order they happened, each with whether it counts.

    Of reports that contradict each other (accepted and rejected, won and lost, rejected and then an opportunity) the
    one that happened last counts; of two at one instant the one known last. The same said again counts once, from when
    it was first said. The order in which reports arrive changes nothing.
    """
    ordered = sorted(outcomes, key=lambda each: (each.happened_at, each.known_at, each.activity_id))
    weighed: list[Weighed] = []
    standing: dict[OutcomeKind, int] = {}
    for outcome in ordered:
        for kind in [kind for kind in standing if outcome.kind in _CONTRADICTED_BY[kind]]:
            place = standing.pop(kind)
            weighed[place] = Weighed(weighed[place].outcome, contradicted_by=outcome)
        if outcome.kind in standing:
            weighed.append(Weighed(outcome, repeats=weighed[standing[outcome.kind]].outcome))
        else:
            standing[outcome.kind] = len(weighed)
            weighed.append(Weighed(outcome))
    return weighed


def label_at(outcomes: Sequence[Outcome], goal: Goal, decided_at: datetime, horizon: timedelta) -> bool | None:
    """Return whether a lead reached *goal* after *decided_at*, and within *horizon* both did so and was reported.

    None: it had reached it by *decided_at* already, so there was nothing left to foresee. Only what was known when the
    horizon ended is looked at: a report that comes later changes no label. A deal that was won and is lost after all
    is no win, but was an opportunity, from when it was said to be won.
    """
    until = decided_at + horizon
    reached = [
        weighed.outcome.happened_at
        for weighed in weigh(each for each in outcomes if each.known_at <= until)
        if weighed.outcome.kind in REACHES[goal]
        and (weighed.counts or (goal != "won" and weighed.outcome.kind in _DEAL))
    ]
    if any(instant <= decided_at for instant in reached):
        return None
    return bool(reached)


def reason_of(kind: str, detail: dict[str, str]) -> str | None:
    """Return the reason code in the *detail* of an activity. HubSpot has no field for it: there the status that a
    lead was rejected with (``UNQUALIFIED``, ``BAD_TIMING``) is the reason."""
    keys = ("reason", "reason_code", "value") if kind in {"rejected", "lost"} else ("reason", "reason_code")
    found = next((detail[key] for key in keys if detail.get(key)), None)
    return None if found is None else found.replace("\x00", "") or None  # Postgres stores no NUL in a text
