"""What tests of several services need: a harness with a real database, and builders with every field defaulted."""

from shared.testing.clocks import SteppedClock
from shared.testing.harness import ServiceHarness
from shared.testing.publishing import RecordingPublisher

__all__ = ["RecordingPublisher", "ServiceHarness", "SteppedClock"]
