"""A model version that goes live is what the next decision is made with; the decisions before keep theirs."""

from scoring.model_document import default_model_text, model_store
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


async def test_live_version_with_a_fault_that_an_earlier_release_did_not_know_still_decides(
    scoring: ServiceHarness,
) -> None:
    needless = "{id: lead_dev, points: 3, when: {field: facts.seniority, is_in: [director]}}"
    body = default_model_text().replace("      - id: c_level\n", f"      - {needless}\n      - id: c_level\n", 1)
    refused = await scoring.http.post(VERSIONS, json={"body": body, "why": "a test"})
    assert (refused.status_code, "never count" in refused.text) == (422, True)
    async with scoring.runtime.database.transaction() as sql:
        await sql.execute(
            "INSERT INTO document (kind, version, body, created_at, created_by, why)"
            " VALUES ('scoring_model', 2, $1, now(), 'an earlier release', 'it was fine then')",
            body,
        )
        await sql.execute("UPDATE live_document SET version = 2")
    started_anew = model_store()
    await started_anew.open(scoring.runtime.database, scoring.clock.now())
    assert started_anew.live.version == "2"


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
