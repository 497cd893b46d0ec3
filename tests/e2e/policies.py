"""Deadlines of seconds: a test cannot wait for the shipped ones."""

import httpx

from .installation import Installation


async def apply_policies(installation: Installation, body: str) -> None:
    """Put *body* into force, through the API as an operator would."""
    base = f"{installation.urls['sla-monitor']}/v1/documents/sla_policies"
    async with httpx.AsyncClient(headers=installation.headers, timeout=20, trust_env=False) as client:
        draft = await client.post(f"{base}/versions", json={"body": body, "why": "deadlines of seconds"})
        assert draft.status_code == httpx.codes.CREATED, draft.text
        applied = await client.post(f"{base}/versions/{draft.json()['version']}/apply", json={"why": "now"})
        assert applied.json()["is_live"], applied.text
