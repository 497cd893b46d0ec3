"""Suppression hashes: the same for every spelling of an address, useless without the pepper."""

import pytest

from consent.domain.suppression import AddressKind, hash_address

PEPPER = b"p" * 32


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        ("email", "Dana@Acme.example", " dana@acme.example "),
        ("email", "STRASSE@x.example", "straße@x.example"),
        ("phone", "+49 30 9018-2345", "+493090182345"),
        ("phone", "+49 (0)30 901820", "+4930901820"),
        ("email", "a@STRAßE.example", "a@xn--strae-oqa.example"),
        ("phone", "0049 30 901820", "+4930901820"),
        ("email", "a@bücher.example", "a@xn--bcher-kva.example"),
    ],
)
def test_spellings_of_one_address_have_one_hash(kind: AddressKind, one: str, other: str) -> None:
    assert hash_address(PEPPER, kind, one) == hash_address(PEPPER, kind, other)


def test_another_pepper_gives_another_hash() -> None:
    assert hash_address(PEPPER, "email", "a@b.example") != hash_address(b"q" * 32, "email", "a@b.example")


def test_kind_is_part_of_the_hash() -> None:
    assert hash_address(PEPPER, "email", "1@2345.67") != hash_address(PEPPER, "phone", "+1234567")


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("email", "nonsense"),
        ("email", "a@b"),
        ("phone", "call me"),
        ("phone", "12"),
        ("phone", "030 901820"),
        ("email", "a b@x.example"),
        ("email", "a@-.."),
        ("email", "@x.example"),
        ("phone", "+0 30 901820"),
    ],
)
def test_what_is_no_address_has_no_hash(kind: AddressKind, text: str) -> None:
    with pytest.raises(ValueError, match="not a"):
        hash_address(PEPPER, kind, text)
