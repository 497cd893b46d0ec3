"""The suppression list knows addresses only as keyed hashes: it survives an erasure and tells nobody anything."""

import contextlib
import hashlib
import hmac
import unicodedata
from typing import Final, Literal

from consent.domain.statements import CHANNELS
from shared.contracts import Lead

AddressKind = Literal["email", "phone"]
CHANNELS_OF: Final[dict[str, tuple[str, ...]]] = {"email": ("email",), "phone": ("phone", "sms")}
EVERY_CHANNEL: Final = CHANNELS


def fold_address(kind: AddressKind, text: str) -> str:
    """Return the spelling under which two addresses are one: NFKC, case folded; IDNA domain; ``+`` and digits.

    Errors: `ValueError` for text that is no address: its hash would protect nobody.
    """
    folded = unicodedata.normalize("NFKC", text).strip().casefold()
    if kind == "email":
        local, at, domain = folded.rpartition("@")
        if not at or not local or "." not in domain or " " in folded:
            raise ValueError("not an e-mail address")
        return f"{local}@{domain.encode('idna').decode('ascii')}"
    digits = "".join(character for character in folded if character.isdecimal())
    if not 5 <= len(digits) <= 17:
        raise ValueError("not a phone number")
    if folded.startswith("+"):
        return f"+{digits}"
    return f"+{digits[2:]}" if digits.startswith("00") else digits


def hash_address(pepper: bytes, kind: AddressKind, text: str) -> bytes:
    """Return HMAC-SHA256 of the folded address. Without the pepper, guessing addresses against the list fails."""
    return hmac.new(pepper, f"{kind}:{fold_address(kind, text)}".encode(), hashlib.sha256).digest()


def hashes_of(pepper: bytes, lead: Lead) -> list[bytes]:
    """Return the hashes of a lead's addresses; one that cannot be read as an address has none."""
    addresses: tuple[tuple[AddressKind, str | None], ...] = (("email", lead.email), ("phone", lead.phone))
    found = []
    for kind, address in addresses:
        if address is not None:
            with contextlib.suppress(ValueError):
                found.append(hash_address(pepper, kind, address))
    return found
