"""HTTP routes of the suppression list."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Body, Path

from consent import metrics
from consent.domain.suppression import AddressKind, hash_address
from consent.repository import ConsentRepository
from consent.stopping import stop_addresses
from consent.views import Release, SuppressionRequest, SuppressionView
from shared.http import Cursor, Limit, Page, Principal, Problem, decode_cursor, encode_cursor, require_scope
from shared.runtime import Runtime

Writer = Annotated[Principal, require_scope("consent:write")]
AddressHash = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$", description="As the list shows it.")]


def add_suppression_routes(router: APIRouter, runtime: Runtime[ConsentRepository]) -> None:
    """Add the routes to *router*."""

    @router.post("/v1/suppressions", status_code=201)
    async def suppress(body: SuppressionRequest, principal: Writer) -> SuppressionView:
        """Put an address on the list, effective at once: assignments end. The address itself is not kept."""
        async with runtime.work() as work:
            digest = _digest(body, work.repo.pepper)
            await stop_addresses(work, [(digest, body.channels, body.why)], principal.client_id)
            work.audit(
                actor=principal.client_id,
                action="suppression.added",
                subject=digest.hex(),
                after={"channels": body.channels},
                why=body.why,
            )
            now = work.now
            metrics.SUPPRESSED.set(await work.repo.count_suppressed())
        return SuppressionView(
            address_hash=digest.hex(),
            channels=sorted(body.channels),
            reason=body.why,
            added_at=now,
            added_by=principal.client_id,
        )

    @router.delete("/v1/suppressions/{address_hash}", status_code=204)
    async def release(address_hash: AddressHash, body: Annotated[Release, Body()], principal: Writer) -> None:
        """Take an address off the list, with a reason that is kept."""
        async with runtime.work() as work:
            if not await work.repo.release(bytes.fromhex(address_hash)):
                raise Problem(404, "not_suppressed", "This address is not on the list")
            work.audit(actor=principal.client_id, action="suppression.removed", subject=address_hash, why=body.why)
            metrics.SUPPRESSED.set(await work.repo.count_suppressed())

    @router.get("/v1/suppressions", dependencies=[require_scope("consent:write")])
    async def list_suppressions(limit: Limit = 50, cursor: Cursor = None) -> Page[SuppressionView]:
        """Return the list, oldest first: hashes, never addresses."""
        after = _position(cursor) if cursor else None
        async with runtime.read() as repo:
            rows = await repo.list_suppressed(after=after, limit=limit + 1)
        items = [
            SuppressionView(**{**row, "address_hash": row["address_hash"].hex()}) for row in map(dict, rows[:limit])
        ]
        more = encode_cursor(items[-1].added_at.isoformat(), items[-1].address_hash) if len(rows) > limit else None
        return Page(items=items, next_cursor=more)


def _digest(body: SuppressionRequest, pepper: bytes) -> bytes:
    if body.address_hash is not None:
        return bytes.fromhex(body.address_hash)
    kind: AddressKind = "email" if body.email is not None else "phone"
    try:
        return hash_address(pepper, kind, body.email or body.phone or "")
    except ValueError as error:
        errors = [{"pointer": f"/{kind}", "detail": str(error)}]
        raise Problem(422, "invalid_request", "The request does not fit its schema", errors=errors) from error


def _position(cursor: str) -> tuple[datetime, bytes]:
    added_at, address_hash = decode_cursor(cursor, size=2)
    try:
        return datetime.fromisoformat(added_at), bytes.fromhex(address_hash)
    except ValueError:
        raise Problem(422, "invalid_cursor", "This cursor was not made by this list") from None
