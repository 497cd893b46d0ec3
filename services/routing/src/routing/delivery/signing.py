"""Standard Webhooks signatures (symmetric, v1): https://github.com/standard-webhooks/standard-webhooks."""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime

SECRET_PREFIX = "whsec_"  # noqa: S105 - the public prefix, not a secret
SECRET_BYTES = 32


class SecretInvalid(ValueError):
    """The text is not a signing secret."""


def show_secret(key: bytes) -> str:
    """Return *key* the way receivers configure it: ``whsec_`` and base64."""
    return SECRET_PREFIX + base64.b64encode(key).decode()


def read_secret(text: str) -> bytes:
    """Return the key bytes of a secret, with or without its prefix. Errors: `SecretInvalid`."""
    try:
        return base64.b64decode(text.removeprefix(SECRET_PREFIX), validate=True)
    except ValueError as error:
        raise SecretInvalid("not base64 after whsec_") from error


def sign(keys: Sequence[bytes], webhook_id: str, sent_at: datetime, body: bytes) -> dict[str, str]:
    """Return the three headers. ``webhook-signature`` holds one signature per active key, so that a receiver accepts
    the delivery with the old secret and with the new one while it is being rotated."""
    timestamp = str(int(sent_at.timestamp()))
    message = b"%b.%b.%b" % (webhook_id.encode(), timestamp.encode(), body)
    signatures = (base64.b64encode(hmac.digest(key, message, hashlib.sha256)).decode() for key in keys)
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }
