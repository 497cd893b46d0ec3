"""What is stored of a lead comes back as it was, in fewer bytes than JSON."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from scoring import stored
from scoring.domain.decision import Profile
from scoring.domain.score import Line
from shared.contracts import Facts, Lead, Origin, Touch
from shared.testing.builders import make_facts, make_lead, make_origin

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
PROFILES = {
    "usual": Profile(origin=make_origin(received_at=NOW), lead=make_lead(), facts=make_facts()),
    "full": Profile(
        origin=make_origin(received_at=NOW, touch=Touch(utm_source="news", referrer="https://example.org")),
        lead=make_lead(message="Call me", custom={"budget": "10k"}, phone="+4930123456", region="DE-BE"),
        facts=make_facts(is_competitor=True, notes={"phone": "not_a_number"}),
        has_gpc=True,
    ),
    "empty": Profile(origin=make_origin(received_at=NOW), lead=Lead(), facts=Facts()),
}


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_a_profile_survives_being_stored(profile: Profile) -> None:
    assert stored.unpack_profile(stored.pack_profile(profile)) == profile


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_a_stored_profile_is_at_most_two_thirds_of_its_json(profile: Profile) -> None:
    assert len(stored.pack_profile(profile)) * 3 <= len(msgspec.json.encode(profile)) * 2


@pytest.mark.parametrize(
    ("contract", "names"),
    [
        (Origin, (*stored.ORIGIN, "touch")),
        (Touch, stored.TOUCH),
        (Lead, stored.LEAD),
        (Facts, stored.FACTS),
    ],
)
def test_no_field_of_a_contract_is_left_out(contract: Any, names: tuple[str, ...]) -> None:
    assert sorted(names) == sorted(contract.__struct_fields__)


def test_a_profile_stored_before_a_field_existed_gets_its_default() -> None:
    profile = PROFILES["full"]
    origin, touch, lead, facts, has_gpc = msgspec.msgpack.decode(stored.pack_profile(profile))
    older = msgspec.msgpack.encode((origin, touch, lead[:-1], facts, has_gpc))
    assert stored.unpack_profile(older).lead == msgspec.structs.replace(profile.lead, custom={})


def test_lines_survive_being_stored() -> None:
    lines = (
        Line(
            kind="rule", half="fit", hundredths=2200, group="job_title", source="vp", inputs={"facts.seniority": "vp"}
        ),
        Line(kind="signal", half="engagement", hundredths=3000, group="demo", source="demo", count=1, latest_at=NOW),
        Line(kind="clamp", half="total", hundredths=-150),
    )
    assert stored.unpack_lines(stored.pack_lines(lines)) == lines
