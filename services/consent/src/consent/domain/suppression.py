"""The suppression list knows addresses only as keyed hashes: it survives an erasure and tells nobody anything."""

import hashlib
import hmac
import unicodedata
from typing import Final, Literal

from consent.domain.statements import CHANNELS

AddressKind = Literal["email", "phone"]
CHANNELS_OF: Final[dict[str, tuple[str, ...]]] = {"email": ("email",), "phone": ("phone", "sms")}
EVERY_CHANNEL: Final = CHANNELS


def fold_address(kind: AddressKind, text: str) -> str:
    """Return the spelling under which two addresses are one: NFKC and case folded; a phone keeps ``+`` and digits."""
    folded = unicodedata.normalize("NFKC", text).strip().casefold()
    if kind == "email":
        return folded
    digits = "".join(character for character in folded if character.isdigit())
    return f"+{digits}" if folded.startswith("+") else digits


def hash_address(pepper: bytes, kind: AddressKind, text: str) -> bytes:
    """Return HMAC-SHA256 of the folded address. Without the pepper, guessing addresses against the list fails."""
    return hmac.new(pepper, f"{kind}:{fold_address(kind, text)}".encode(), hashlib.sha256).digest()
