"""When each request is due. Open loop: the schedule does not wait for answers."""

import random


def due_times(count: int, rate: float, *, seed: int) -> list[float]:
    """Return *count* ascending offsets in seconds from the start.

    Arrivals are independent of each other (exponential gaps): evenly spaced ones would never meet, and a queue is made
    of meetings. *rate* 0: all are due at once, and the number of connections is the limit.
    """
    if rate <= 0:
        return [0.0] * count
    chance = random.Random(seed)  # noqa: S311 - a made-up load, not a secret
    due: list[float] = []
    now = 0.0
    for _ in range(count):
        now += chance.expovariate(rate)
        due.append(now)
    # The random sum ends a few per cent early or late; the asked rate is what the report says.
    stretch = count / rate / now if now else 1.0
    return [one * stretch for one in due]
