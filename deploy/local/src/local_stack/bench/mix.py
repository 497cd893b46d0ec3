"""What the load is made of: whose request each one is, and of which nature. Pure, the same for the same seed."""

import random
from collections.abc import Mapping
from typing import Literal, NamedTuple

Nature = Literal["new", "returning", "activity", "duplicate", "invalid"]
Flaw = Literal["wrong_signature", "broken_json", "unmappable", "unknown_source"]

SHARES: Mapping[Nature, float] = {"new": 0.70, "returning": 0.15, "activity": 0.08, "duplicate": 0.05, "invalid": 0.02}
SENDER_SHARES: Mapping[str, float] = {
    "web_form": 0.30,
    "zoom": 0.15,
    "typeform": 0.15,
    "hubspot": 0.10,
    "standard_webhooks": 0.15,
    "cloudevents": 0.15,
}
ACTIVITY_SENDERS = ("zoom", "cloudevents")
FLAWS: tuple[Flaw, ...] = ("wrong_signature", "broken_json", "unmappable", "unknown_source")
# Somebody comes back, or a sender repeats itself, after this many other requests: earlier, the first request may still
# be on its way and the two would swap natures.
LATER_BY = 100


class Planned(NamedTuple):
    """One request to come. ``person``: number in the population. ``repeats``: index of the request sent again."""

    nature: Nature
    sender: str
    person: int
    repeats: int | None = None
    flaw: Flaw | None = None


def plan_mix(count: int, *, seed: int) -> list[Planned]:
    """Return *count* requests in the shares above. Until somebody can come back, everybody is new."""
    chance = random.Random(seed)  # noqa: S311 - a made-up load, not a secret
    natures = chance.choices(tuple(SHARES), tuple(SHARES.values()), k=count)
    senders = chance.choices(tuple(SENDER_SHARES), tuple(SENDER_SHARES.values()), k=count)
    planned: list[Planned] = []
    known: list[tuple[int, str]] = []  # (index of the request that made the person known, its sender)
    people = 0
    for index, (nature, sender) in enumerate(zip(natures, senders, strict=True)):
        old = _older_than(known, index - LATER_BY)
        if nature == "invalid":
            flaw = chance.choice(FLAWS)
            planned.append(Planned(nature, _SENDER_OF_FLAW.get(flaw, sender), people + index, flaw=flaw))
        elif nature == "new" or not old:
            planned.append(Planned("new", sender, people))
            known.append((index, sender))
            people += 1
        else:
            person = chance.randrange(old)
            first, first_sender = known[person]
            match nature:
                case "duplicate":
                    planned.append(Planned(nature, first_sender, person, repeats=first))
                case "activity":
                    planned.append(Planned(nature, chance.choice(ACTIVITY_SENDERS), person))
                case _:
                    planned.append(Planned(nature, sender, person))
    return planned


def _older_than(known: list[tuple[int, str]], index: int) -> int:
    """Return how many people became known before *index*. At most `LATER_BY` of the newest did not."""
    count = len(known)
    while count and known[count - 1][0] > index:
        count -= 1
    return count


_SENDER_OF_FLAW: Mapping[Flaw, str] = {
    "wrong_signature": "zoom",
    "broken_json": "typeform",
    "unmappable": "hubspot",
}
