"""The suppression list knows addresses only as keyed hashes: it survives an erasure and tells nobody anything."""

import hashlib
import hmac
import re
import unicodedata
from functools import lru_cache
from typing import Final, Literal

import idna

from consent.domain.statements import CHANNELS
from shared.contracts import Lead

AddressKind = Literal["email", "phone"]
CHANNELS_OF: Final[dict[str, tuple[str, ...]]] = {"email": ("email",), "phone": ("phone", "sms")}
EVERY_CHANNEL: Final = CHANNELS

_PHONE: Final = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)  # E.164
_SEPARATORS: Final = re.compile(r"[\s().\-/]+")
_TRUNK_ZERO: Final = "(0)"  # "+49 (0)30": dialled inside the country only
_DOMAIN: Final = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)+", re.ASCII)


def fold_address(kind: AddressKind, text: str) -> str:
    """Return the spelling under which two addresses are one: as ingest folds an e-mail; E.164.

    Errors: `ValueError` for text that is no address, or a phone number without its country: leads are known by E.164,
    the hash of anything else would protect nobody.
    """
    return _fold_email(text) if kind == "email" else _fold_phone(text)


def _fold_email(text: str) -> str:
    local, at, domain = unicodedata.normalize("NFKC", text).strip().rpartition("@")
    local = unicodedata.normalize("NFKC", local.casefold())
    domain = domain.lower()
    if not domain.isascii():
        try:
            domain = idna.encode(domain, uts46=True).decode()
        except idna.IDNAError:
            domain = ""
    if not at or not local or not _DOMAIN.fullmatch(domain) or any(map(str.isspace, local)):
        raise ValueError("not an e-mail address")
    return f"{local}@{domain}"


def _fold_phone(text: str) -> str:
    compact = _SEPARATORS.sub("", unicodedata.normalize("NFKC", text).replace(_TRUNK_ZERO, ""))
    if compact.startswith("00"):
        compact = f"+{compact[2:]}"
    if not _PHONE.fullmatch(compact):
        raise ValueError("not a phone number that begins with + and its country")
    return compact


@lru_cache(maxsize=4096)  # a lead's addresses are asked for several times within one batch
def hash_address(pepper: bytes, kind: AddressKind, text: str) -> bytes:
    """Return HMAC-SHA256 of the folded address. Without the pepper, guessing addresses against the list fails.

    Errors: `ValueError` as `fold_address`.
    """
    return hmac.new(pepper, f"{kind}:{fold_address(kind, text)}".encode(), hashlib.sha256).digest()


def is_address(kind: AddressKind, text: str | None) -> bool:
    """Tell whether *text* can be read as an address, and so be looked up in the suppression list."""
    try:
        return text is not None and bool(fold_address(kind, text))
    except ValueError:
        return False


def find_hash(pepper: bytes, kind: AddressKind, text: str | None) -> bytes | None:
    """Return the hash of an address, or None if there is none or it cannot be read as one."""
    try:
        return hash_address(pepper, kind, text) if text is not None else None
    except ValueError:
        return None


def hashes_of(pepper: bytes, lead: Lead) -> list[bytes]:
    """Return the hashes of a lead's addresses."""
    found = (find_hash(pepper, "email", lead.email), find_hash(pepper, "phone", lead.phone))
    return [digest for digest in found if digest is not None]
