"""What is known of one lead's way through sales, and the clocks that follow from it.

Facts arrive from several topics in any order. Nothing is decided by the order of arrival: facts are kept, and clocks
are derived from all of them, so every order ends in the same clocks. Only a deadline's passing depends on the time
at which somebody looked.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from sla_monitor.domain.clocks import Change, Clock, ClockEvent, Stop, apply_changes, decide_changes
from sla_monitor.domain.facts import Capture, Ending, Fact, Journey, Ownership, Touch
from sla_monitor.domain.policies import Inputs, Policy, PolicyDocument, Stage, choose_policy, plan_deadline

MOST_FACTS = 50  # per kind and lead: a form that is sent ten thousand times costs no more than one sent fifty times


@dataclass(slots=True)
class LeadFile:
    """A lead's journey and clocks. ``version`` 0 = not stored yet. ``clock_count``: of all clocks it ever had; those
    that are loaded may be fewer.

    ``changed``: the clocks that are not as they were loaded, with what they were (None: they are new).
    """

    lead_id: str
    version: int = 0
    journey: Journey = field(default_factory=Journey)
    clocks: dict[str, Clock] = field(default_factory=dict)
    changed: dict[str, Clock | None] = field(default_factory=dict)
    has_new_facts: bool = False
    clock_count: int = 0

    @property
    def is_changed(self) -> bool:
        """Tell whether there is something to save."""
        return self.has_new_facts or bool(self.changed)

    def put(self, clock: Clock) -> None:
        """Take in a new or changed clock."""
        self.changed.setdefault(clock.clock_id, self.clocks.get(clock.clock_id))
        self.clocks[clock.clock_id] = clock

    def take_number(self) -> int:
        """Return the number of the next new clock."""
        self.clock_count += 1
        return self.clock_count

    def keep(self, journey: Journey) -> None:
        """Take in a journey that knows more."""
        self.journey = journey
        self.has_new_facts = True


@dataclass(frozen=True, slots=True)
class Rules:
    """The policy document in force, and the older ones that running clocks were started under."""

    version: str
    documents: Mapping[str, PolicyDocument]

    @property
    def live(self) -> PolicyDocument:
        """Return the document in force."""
        return self.documents[self.version]

    def find_policy(self, clock: Clock) -> Policy | None:
        """Return the policy a clock was started under."""
        document = self.documents.get(clock.policy_version)
        return None if document is None else document.find_policy(clock.policy_id)

    def find_stage(self, clock: Clock) -> Stage | None:
        """Return the stage a clock was started for."""
        document = self.documents.get(clock.policy_version, self.live)
        return document.stages.get(clock.stage)


class ClockChange(msgspec.Struct, frozen=True):
    """A clock after a change, and what changed."""

    clock: Clock
    event: ClockEvent


def record_fact(file: LeadFile, fact: Fact, rules: Rules, now: datetime) -> list[ClockChange]:
    """Take *fact* into the file and return every announcement that follows. A known fact changes nothing."""
    if isinstance(fact, Capture):
        changes = _start_capture_clocks(file, fact, rules, now)
        for clock in _clocks_of(file, fact.record_id, is_owned=False):
            changes += _stop(file, clock, rules, now)
        return changes
    journey = _with_fact(file.journey, fact)
    if journey is file.journey:
        return []
    file.keep(journey)
    changes = []
    for clock in [clock for clock in file.clocks.values() if clock.assignment_id is None]:
        changes += _stop(file, clock, rules, now)
    changes += _time_ownerships(file, rules, now)
    return changes


def let_time_pass(file: LeadFile, clock_ids: Iterable[str], rules: Rules, now: datetime) -> list[ClockChange]:
    """Take the named clocks through every state whose instant has come, in order."""
    changes: list[ClockChange] = []
    for clock_id in clock_ids:
        clock = file.clocks.get(clock_id)
        if clock is not None and clock.is_open:
            changes += _announce(file, clock, decide_changes(clock, None, now), rules, now)
    return changes


def _with_fact(journey: Journey, fact: Ownership | Ending | Touch) -> Journey:
    match fact:
        case Ownership():
            if not journey.ownerships:
                return msgspec.structs.replace(journey, ownerships=(fact,))
            if any(_is_same_ownership(known, fact) for known in journey.ownerships):
                return journey
            kept = sorted((*journey.ownerships, fact), key=lambda known: (known.at, known.anchor_id))[-MOST_FACTS:]
            return msgspec.structs.replace(journey, ownerships=tuple(kept))
        case Ending():
            if fact in journey.endings:
                return journey
            endings = sorted((*journey.endings, fact), key=lambda known: (known.at, known.kind, known.record_id))
            return msgspec.structs.replace(journey, endings=tuple(endings[-MOST_FACTS:]))
        case Touch():
            if any(known.activity_id == fact.activity_id for known in journey.touches):
                return journey
            touches = sorted((*journey.touches, fact), key=lambda known: (known.at, known.activity_id))
            return msgspec.structs.replace(journey, touches=tuple(touches[-MOST_FACTS:]))


def _is_same_ownership(known: Ownership, fact: Ownership) -> bool:
    # An activity that scores an owned lead again makes routing say "retained" for a record that was dealt with long
    # ago: only a new submission asks sales for a new answer.
    if fact.kind == "retained":
        return known.record_id == fact.record_id
    return known.kind != "retained" and known.assignment_id == fact.assignment_id


def _start_capture_clocks(file: LeadFile, capture: Capture, rules: Rules, now: datetime) -> list[ClockChange]:
    changes: list[ClockChange] = []
    for stage in rules.live.capture_stages:
        clock_id = f"{capture.record_id}.{stage.stage_id}"
        policy = choose_policy(rules.live, stage.stage_id, capture.inputs)
        if policy is None or clock_id in file.clocks:
            continue
        clock = Clock(
            clock_id=clock_id,
            lead_id=file.lead_id,
            stage=stage.stage_id,
            anchor_id=capture.record_id,
            record_id=capture.record_id,
            policy_id=policy.policy_id,
            policy_version=rules.version,
            inputs=capture.inputs,
            deadline=plan_deadline(policy, capture.received_at),
            floor=capture.received_at,
            received_at=capture.received_at,
            number=file.take_number(),
        )
        changes.append(_start(file, clock, now))
    return changes


def _clocks_of(file: LeadFile, anchor_id: str, *, is_owned: bool) -> list[Clock]:
    return [
        clock
        for clock in file.clocks.values()
        if clock.anchor_id == anchor_id and (clock.assignment_id is not None) is is_owned
    ]


def _stop(file: LeadFile, clock: Clock, rules: Rules, now: datetime) -> list[ClockChange]:
    """End the clock of a capture by what became of its record: an owner meets it, an ending cancels it."""
    if not file.journey.ownerships and not file.journey.endings:
        return []
    stops = [
        Stop(owned.at, is_met=True, by=owned.kind, ref=owned.assignment_id)
        for owned in file.journey.ownerships
        if owned.record_id == clock.record_id
    ]
    stops += [
        Stop(ending.at, is_met=False, by=ending.kind)
        for ending in file.journey.endings
        if ending.record_id == clock.record_id
    ]
    return _settle(file, clock, stops, rules, now)


def _time_ownerships(file: LeadFile, rules: Rules, now: datetime) -> list[ClockChange]:
    changes: list[ClockChange] = []
    for position, owned in enumerate(file.journey.ownerships):
        if not owned.is_timed and not _is_covered(file, owned):
            for stage in rules.live.owner_stages:
                changes += _start_owner_clock(file, stage.stage_id, owned, rules, now)
            _mark_timed(file, owned)
        for clock in _clocks_of(file, owned.anchor_id, is_owned=True):
            changes += _update_owner_clock(file, clock, position, rules, now)
    return changes


def _is_covered(file: LeadFile, owned: Ownership) -> bool:
    """Tell whether an earlier clock was still running when a repeated submission came: one answer serves both."""
    if owned.kind != "retained":
        return False
    earlier = {known.anchor_id for known in file.journey.ownerships if known.at < owned.at}
    return any(
        clock.assignment_id is not None
        and clock.anchor_id in earlier
        and (clock.stop is None or clock.stop.at > owned.received_at)
        for clock in file.clocks.values()
    )


def _mark_timed(file: LeadFile, owned: Ownership) -> None:
    ownerships = tuple(
        msgspec.structs.replace(known, is_timed=True) if known is owned else known for known in file.journey.ownerships
    )
    file.keep(msgspec.structs.replace(file.journey, ownerships=ownerships))


def _is_first_answer(file: LeadFile, owned: Ownership) -> bool:
    """Tell whether sales could have had the lead since its receipt: not if it comes from somebody else, from nurture
    or from behind a missing consent. Then the owner's time starts when the owner is named."""
    if owned.kind == "reassigned":
        return False
    # A loop, not any(): this runs for every clock of every owner.
    for ending in file.journey.endings:  # noqa: SIM110
        if ending.record_id == owned.record_id and ending.at < owned.at:
            return False
    return True


def _floor_of(file: LeadFile, owned: Ownership) -> datetime:
    return owned.received_at if _is_first_answer(file, owned) else owned.at


def _start_of(policy: Policy, owned: Ownership, floor: datetime) -> datetime:
    return floor if policy.starts_at == "received" else owned.at


def _start_owner_clock(
    file: LeadFile, stage_id: str, owned: Ownership, rules: Rules, now: datetime
) -> list[ClockChange]:
    clock_id = f"{owned.anchor_id}.{stage_id}"
    inputs = _inputs_of(file, owned)
    policy = choose_policy(rules.live, stage_id, inputs)
    if policy is None or clock_id in file.clocks:
        return []
    floor = _floor_of(file, owned)
    clock = Clock(
        clock_id=clock_id,
        lead_id=file.lead_id,
        stage=stage_id,
        anchor_id=owned.anchor_id,
        record_id=owned.record_id,
        policy_id=policy.policy_id,
        policy_version=rules.version,
        inputs=inputs,
        deadline=plan_deadline(policy, _start_of(policy, owned, floor)),
        floor=floor,
        received_at=owned.received_at,
        assignment_id=owned.assignment_id,
        rep_id=owned.rep_id,
        reassignments=_count_reassignments(file, owned),
        number=file.take_number(),
    )
    return [_start(file, clock, now)]


def _inputs_of(file: LeadFile, owned: Ownership) -> Inputs:
    """Return what a policy is chosen by. "Retained" does not carry the country: the lead's earlier owners know it."""
    if owned.inputs.country is not None:
        return owned.inputs
    known = [earlier.inputs.country for earlier in file.journey.ownerships if earlier.at <= owned.at]
    country = next((country for country in reversed(known) if country is not None), None)
    return msgspec.structs.replace(owned.inputs, country=country)


def _count_reassignments(file: LeadFile, owned: Ownership) -> int:
    count = 0
    for known in file.journey.ownerships:
        if known.at > owned.at:
            break
        if known.kind == "assigned":
            count = 0
        elif known.kind == "reassigned":
            count += 1
    return count


def _update_owner_clock(file: LeadFile, clock: Clock, position: int, rules: Rules, now: datetime) -> list[ClockChange]:
    owned = file.journey.ownerships[position]
    changes: list[ClockChange] = []
    policy, floor = rules.find_policy(clock), _floor_of(file, owned)
    if policy is not None and floor != clock.floor:
        # A late event says that sales could not have had the lead earlier: its time starts anew.
        deadline = plan_deadline(policy, _start_of(policy, owned, floor))
        changes.append(_start(file, msgspec.structs.replace(clock, deadline=deadline, floor=floor, stop=None), now))
        clock = file.clocks[clock.clock_id]
    stage = rules.find_stage(clock)
    met_by = stage.met_by if stage is not None else frozenset()
    stops = [
        Stop(touch.at, is_met=True, by=touch.kind, ref=touch.activity_id)
        for touch in file.journey.touches
        if touch.kind in met_by and touch.at >= clock.floor
    ]
    stops += [
        Stop(later.at, is_met=False, by="reassigned", ref=later.assignment_id)
        for later in file.journey.ownerships[position + 1 :]
        if later.assignment_id != owned.assignment_id
    ]
    stops += [
        Stop(ending.at, is_met=False, by=ending.kind)
        for ending in file.journey.endings
        if ending.kind != "nurtured" and ending.at >= owned.at
    ]
    return changes + _settle(file, clock, stops, rules, now)


def _settle(file: LeadFile, clock: Clock, stops: list[Stop], rules: Rules, now: datetime) -> list[ClockChange]:
    """Let the earliest stop count. What the clock already knows counts too: its fact may have been forgotten."""
    if clock.stop is not None:
        stops.append(clock.stop)
    if not stops or (stop := min(stops, key=lambda known: known.rank)) == clock.stop:
        return []
    clock = msgspec.structs.replace(clock, stop=stop)
    file.put(clock)
    return _announce(file, clock, decide_changes(clock, stop, None), rules, now)


def _start(file: LeadFile, clock: Clock, now: datetime) -> ClockChange:
    """Let the clock run, for the first time or anew."""
    started_at = clock.deadline.started_at
    history = (*clock.history, Change("started", started_at, now))
    clock = msgspec.structs.replace(clock, state="started", history=history)
    file.put(clock)
    return ClockChange(clock, ClockEvent("started", started_at))


def _announce(file: LeadFile, clock: Clock, events: list[ClockEvent], rules: Rules, now: datetime) -> list[ClockChange]:
    changed = apply_changes(clock, events, rules.find_policy(clock), now)
    if events:
        file.put(changed)
    return [ClockChange(changed, event) for event in events]
