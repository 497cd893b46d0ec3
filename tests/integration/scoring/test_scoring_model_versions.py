"""A model version that goes live is what the next decision is made with; the decisions before keep theirs."""

from scoring.model_document import default_model_text
from shared.contracts import LeadScored
from shared.ids import new_id
from shared.testing import ServiceHarness
from shared.testing.builders import make_enriched

VERSIONS = "/v1/documents/scoring_model/versions"


async def test_a_broken_model_is_refused_with_a_pointer(scoring: ServiceHarness) -> None:
    body = default_model_text().replace("half_life_days: 14", "half_life_days: 0")
    answer = await scoring.http.post(VERSIONS, json={"body": body, "why": "a test"})
    assert answer.status_code == 422
    assert "/decay/half_life_days" in str(answer.json()["errors"])


async def test_an_applied_version_decides_from_then_on(scoring: ServiceHarness) -> None:
    body = default_model_text().replace("threshold: 50", "threshold: 60").replace("points: 22", "points: 21")
    created = await scoring.http.post(VERSIONS, json={"body": body, "why": "a test"})
    assert created.status_code == 201, created.text
    version = created.json()["version"]
    applied = await scoring.http.post(f"{VERSIONS}/{version}/apply", json={"why": "a test"})
    assert applied.status_code == 200, applied.text
    (event,) = await scoring.feed(make_enriched(new_id()))  # an MQL under the shipped model
    assert isinstance(event, LeadScored)
    assert (event.score.model_version, event.score.fit, event.score.is_mql) == (str(version), 52.0, False)
