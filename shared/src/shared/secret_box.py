"""Secrets at rest: sealed with a key from the environment, so that a copy of the database alone opens nothing."""

import hashlib
import hmac
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MINIMUM_KEY_LENGTH = 32
_NONCE_BYTES = 12


class SecretKeyMissing(ValueError):
    """No usable key in the environment."""


class SealBroken(ValueError):
    """The sealed bytes were changed, or sealed with another key."""


class SecretBox:
    """Seals and opens small secrets with AES-256-GCM under a key derived from ``LEADRAIL_SECRET_KEY``."""

    def __init__(self, key: str) -> None:
        if len(key) < MINIMUM_KEY_LENGTH:
            message = f"LEADRAIL_SECRET_KEY must have at least {MINIMUM_KEY_LENGTH} characters"
            raise SecretKeyMissing(message)
        self._key = key.encode()
        self._cipher = AESGCM(hashlib.sha256(b"leadrail seal\0" + self._key).digest())

    def seal(self, secret: bytes) -> bytes:
        """Return nonce + ciphertext of *secret*."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, secret, None)

    def open(self, sealed: bytes) -> bytes:
        """Return the secret. Errors: `SealBroken`."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], None)
        except InvalidTag as error:
            message = "sealed with another key, or damaged"
            raise SealBroken(message) from error

    def derive(self, purpose: str) -> bytes:
        """Return 32 bytes that belong to *purpose* and do not reveal the key."""
        return hmac.new(self._key, purpose.encode(), hashlib.sha256).digest()
