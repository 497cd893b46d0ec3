"""Secrets at rest open only with their key, unchanged."""

import pytest

from shared.secret_box import SealBroken, SecretBox, SecretKeyMissing

KEY = "k" * 32


def test_sealed_secret_opens_with_its_key() -> None:
    box = SecretBox(KEY)
    assert box.open(box.seal(b"whsec_x")) == b"whsec_x"


def test_two_seals_of_one_secret_differ() -> None:
    box = SecretBox(KEY)
    assert box.seal(b"same") != box.seal(b"same")


def test_another_key_opens_nothing() -> None:
    with pytest.raises(SealBroken):
        SecretBox("x" * 32).open(SecretBox(KEY).seal(b"secret"))


@pytest.mark.parametrize("position", [0, 12, -1])
def test_one_flipped_byte_is_noticed(position: int) -> None:
    sealed = bytearray(SecretBox(KEY).seal(b"secret"))
    sealed[position] ^= 1
    with pytest.raises(SealBroken):
        SecretBox(KEY).open(bytes(sealed))


def test_short_key_is_refused() -> None:
    with pytest.raises(SecretKeyMissing):
        SecretBox("short")
