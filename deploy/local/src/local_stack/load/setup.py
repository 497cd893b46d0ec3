"""What an installation needs before leads flow: sources, reps, an endpoint. Made through the services' own routes."""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any, NamedTuple

import httpx

from local_stack.load.senders import KINDS, Signing

NOTICE = {
    "field": "consent",
    "notice_version": "2026-11",
    "text_shown": "Yes, you may contact me about your products by e-mail and phone. I can withdraw at any time.",
    "purposes": ["sales_contact", "marketing"],
    "channels": ["email", "phone"],
}
SITE = "https://www.example.com"
CRM_DESCRIPTION = "CRM of the local stack"
# A form on a "talk to us" page proves a wish for a demo; a webinar registration proves a registration.
ACTIVITIES: Mapping[str, tuple[str, ...]] = {
    "web_form": ("demo_request",),
    "typeform": ("demo_request",),
    "standard_webhooks": ("demo_request",),
    "cloudevents": ("trial_usage", "demo_request"),
}
REPS = (
    ("alice", "Alice Moreau", "emea"),
    ("bela", "Béla Kovács", "emea"),
    ("carol", "Carol Diaz", "americas"),
    ("deepak", "Deepak Rao", "americas"),
    ("emi", "Emi Sato", "apac"),
    ("frank", "Frank Hill", "enterprise"),
)


class Setup(NamedTuple):
    """What senders and the CRM need to know. ``signing``: secret and address to post to, per kind of sender."""

    signing: dict[str, Signing]
    crm_secret: str
    endpoint_id: str


async def set_up(urls: Mapping[str, str], admin_key: str, *, secret_key: str, public_url: str, crm_url: str) -> Setup:
    """Make one source per kind of sender, the reps, and an endpoint at *crm_url*. May be repeated on kept data.

    The sources' secrets follow from *secret_key*; the CRM's is new each time. Errors: `httpx.HTTPStatusError`.
    """
    headers = {"Authorization": f"Bearer {admin_key}"}
    async with httpx.AsyncClient(headers=headers, timeout=30, trust_env=False) as client:
        signing = {kind: await _make_source(client, urls["ingest"], kind, secret_key, public_url) for kind in KINDS}
        for rep_id, name, team in REPS:
            await _make_rep(client, urls["routing"], rep_id, name, team)
        endpoint = await _make_endpoint(client, urls["routing"], crm_url)
    return Setup(signing, endpoint["secret"], endpoint["endpoint_id"])


async def remove_endpoint(urls: Mapping[str, str], admin_key: str, endpoint_id: str) -> None:
    """End the CRM's endpoint: what is assigned later is not sent to an address where nobody listens any more.

    Errors: `httpx.HTTPError`.
    """
    headers = {"Authorization": f"Bearer {admin_key}"}
    async with httpx.AsyncClient(headers=headers, timeout=10, trust_env=False) as client:
        _check(await client.delete(f"{urls['routing']}/v1/endpoints/{endpoint_id}"))


def source_key(kind: str) -> str:
    """Return the key of the source of *kind*."""
    return f"local-{kind.replace('_', '-')}"


def submissions_path(kind: str) -> str:
    """Return the path a sender of *kind* posts to."""
    return f"/v1/sources/{source_key(kind)}/submissions"


async def _make_source(client: httpx.AsyncClient, url: str, kind: str, secret_key: str, public_url: str) -> Signing:
    secret = _secret(secret_key, kind)
    body: dict[str, Any] = {
        "kind": kind,
        "key": source_key(kind),
        "name": f"{kind} of the local stack",
        "defaults": {"consent": NOTICE, "activities": list(ACTIVITIES.get(kind, ())), "campaign": "autumn-launch"},
        "allowed_origins": [SITE] if kind == "web_form" else [],
        "why": "local stack",
    }
    if kind != "web_form":
        body["secret"] = secret
    answer = await client.post(f"{url}/v1/sources", json=body)
    if answer.status_code != httpx.codes.CONFLICT:
        _check(answer)
    return Signing(secret, public_url + submissions_path(kind))


async def _make_rep(client: httpx.AsyncClient, url: str, rep_id: str, name: str, team: str) -> None:
    body = {"rep_id": rep_id, "name": name, "email": f"{rep_id}@leadrail.example", "team": team}
    answer = await client.post(f"{url}/v1/reps", json=body)
    if answer.status_code != httpx.codes.CONFLICT:
        _check(answer)


async def _make_endpoint(client: httpx.AsyncClient, url: str, crm_url: str) -> dict[str, Any]:
    listed = _check(await client.get(f"{url}/v1/endpoints", params={"limit": 200})).json()["items"]
    for endpoint in listed:
        if endpoint["description"] == CRM_DESCRIPTION:
            _check(await client.delete(f"{url}/v1/endpoints/{endpoint['endpoint_id']}"))
    body = {
        "url": crm_url,
        "events": ["lead.assigned", "lead.reassigned", "consent.withdrawn"],
        "description": CRM_DESCRIPTION,
        "max_concurrency": 32,
    }
    made: dict[str, Any] = _check(await client.post(f"{url}/v1/endpoints", json=body)).json()
    return made


def _secret(secret_key: str, kind: str) -> str:
    digest = hmac.new(secret_key.encode(), f"local source {kind}".encode(), hashlib.sha256).digest()
    prefix = "whsec_" if kind == "standard_webhooks" else ""
    return prefix + base64.b64encode(digest).decode()


def _check(answer: httpx.Response) -> httpx.Response:
    if answer.is_error:
        message = f"{answer.request.method} {answer.request.url} answers {answer.status_code}: {answer.text[:500]}"
        raise httpx.HTTPStatusError(message, request=answer.request, response=answer)
    return answer
