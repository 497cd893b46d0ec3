"""What a unit of work takes as an event."""

import pytest

from shared.runtime.work import MAX_EVENT_BYTES, Effects, EventTooLarge, UnitOfWork
from shared.testing import SteppedClock
from shared.testing.builders import make_captured, make_lead


def test_event_no_broker_takes_is_refused_before_it_can_block_those_behind_it() -> None:
    effects = Effects()
    work = UnitOfWork(None, SteppedClock().now(), effects)
    with pytest.raises(EventTooLarge):
        work.emit(make_captured("lead-1", lead=make_lead(last_name="x" * MAX_EVENT_BYTES)))
    assert effects.emitted == []
