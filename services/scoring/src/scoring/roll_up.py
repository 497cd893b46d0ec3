"""Colleagues: a lead is scored with what others of its account did, and they are scored again when it acts."""

from collections.abc import Iterable, Mapping
from typing import Final

from scoring.domain.account import account_of, colleagues_activities, end_of_pause
from scoring.domain.activity import Activity
from scoring.domain.decision import LeadState, Profile
from scoring.domain.model import ScoringModel
from scoring.repository import ScoringRepository
from shared.contracts import Facts
from shared.runtime import UnitOfWork

ACCOUNT_RESCORE: Final = "account_rescore"

Work = UnitOfWork[ScoringRepository]


async def load_colleagues(
    work: Work, model: ScoringModel, states: Mapping[str, LeadState], facts: Mapping[str, Facts]
) -> None:
    """Give each state what the lead's colleagues did, if *model* counts that. *facts*: of the leads that are known."""
    if not model.has_account:
        return
    accounts = {lead_id: account for lead_id, each in facts.items() if (account := account_of(each)) is not None}
    deeds = await work.repo.accounts.list_deeds(set(accounts.values()), model.account_signals_of)
    for lead_id, account in accounts.items():
        states[lead_id].colleagues = colleagues_activities(deeds.get(account, ()), lead_id)


def facts_of(states: Mapping[str, LeadState]) -> dict[str, Facts]:
    """Return the facts of the leads that are known."""
    return {lead_id: state.profile.facts for lead_id, state in states.items() if state.profile is not None}


def wake_colleagues(work: Work, model: ScoringModel, profile: Profile | None, activities: Iterable[Activity]) -> None:
    """Have the colleagues of a lead scored again soon, if one of its new *activities* counts for them."""
    if not model.has_account or profile is None:
        return
    account = account_of(profile.facts)
    if account is not None and any(model.counts_for_colleagues(each.kind) for each in activities):
        work.set_timer(ACCOUNT_RESCORE, account, end_of_pause(work.now), {})


def wake_after_submission(
    work: Work, model: ScoringModel, state: LeadState, before: Profile | None, new: Iterable[Activity]
) -> None:
    """Like `wake_colleagues`; for a lead that only now joined its account, all that it ever did is new there, and no
    longer counts in the account that it left."""
    if not model.has_account or state.profile is None:
        return
    is_member = before is not None and account_of(before.facts) == account_of(state.profile.facts)
    wake_colleagues(work, model, state.profile, new if is_member else state.activities)
    if not is_member:
        wake_colleagues(work, model, before, state.activities)
