"""Real-world spellings of e-mail addresses."""

import pytest

from ingest.domain.normalisation import delivery_email, fold_email
from ingest.domain.normalisation.email import email_kind, read_email

ONE_PERSON = [
    ("jane.doe@example.com", "jane.doe@example.com"),
    ("Jane.Doe@Example.COM", "jane.doe@example.com"),
    ("  jane.doe@example.com  ", "jane.doe@example.com"),
    ("jane.doe@example.com\n", "jane.doe@example.com"),
    ("\tjane.doe@example.com\r\n", "jane.doe@example.com"),
    ("<jane.doe@example.com>", "jane.doe@example.com"),
    ("Jane Doe <jane.doe@example.com>", "jane.doe@example.com"),
    ('"Doe, Jane" <Jane.Doe@example.com>', "jane.doe@example.com"),
    ("Jane <mailto:jane.doe@example.com>", "jane.doe@example.com"),
    ("mailto:jane.doe@example.com", "jane.doe@example.com"),
    ("MAILTO:jane.doe@example.com?subject=Hi", "jane.doe@example.com"),
    ("jane.doe@example.com.", "jane.doe@example.com"),
    ("jane.doe@example.com,", "jane.doe@example.com"),
    ("jane.doe@example.com;", "jane.doe@example.com"),
    ("'jane.doe@example.com'", "jane.doe@example.com"),
    ('"jane.doe@example.com"', "jane.doe@example.com"),
    ("(jane.doe@example.com)", "jane.doe@example.com"),
    ("[jane.doe@example.com]", "jane.doe@example.com"),
    ("\ufeffjane.doe@example.com", "jane.doe@example.com"),
    ("jane.doe\u200b@example.com", "jane.doe@example.com"),
    ("\u202ajane.doe@example.com\u202c", "jane.doe@example.com"),
    ("\u00a0jane.doe@example.com", "jane.doe@example.com"),
    ("ｊａｎｅ．ｄｏｅ＠ｅｘａｍｐｌｅ．ｃｏｍ", "jane.doe@example.com"),
    ("jane.doe＠example.com", "jane.doe@example.com"),
    ("jane.doe@example．com", "jane.doe@example.com"),
    ("jane+news@example.com", "jane+news@example.com"),
    ("Jane+News@Example.com", "jane+news@example.com"),
    ("j.a.n.e@gmail.com", "j.a.n.e@gmail.com"),
    ("jane@googlemail.com", "jane@googlemail.com"),
    ("o'brien@example.ie", "o'brien@example.ie"),
    ("jane_doe@example.com", "jane_doe@example.com"),
    ("jane-doe@example.com", "jane-doe@example.com"),
    ("123@qq.com", "123@qq.com"),
    ("a@b.co", "a@b.co"),
    ("jane@sub.mail.example.co.uk", "jane@sub.mail.example.co.uk"),
    ("jane@example.museum", "jane@example.museum"),
    ("jane@EXAMPLE.Technology", "jane@example.technology"),
    ("jane@münchen.de", "jane@xn--mnchen-3ya.de"),
    ("jane@MÜNCHEN.de", "jane@xn--mnchen-3ya.de"),
    ("jane@xn--mnchen-3ya.de", "jane@xn--mnchen-3ya.de"),
    ("jane@XN--MNCHEN-3YA.DE", "jane@xn--mnchen-3ya.de"),
    ("jane@例え.jp", "jane@xn--r8jz45g.jp"),
    ("jörg@example.de", "jörg@example.de"),
    ("JÖRG@example.de", "jörg@example.de"),
    ("jo\u0308rg@example.de", "jörg@example.de"),
    ("GROSS@example.de", "gross@example.de"),
    ("GROß@example.de", "gross@example.de"),
    ("ИВАН@example.ru", "иван@example.ru"),
    ("user!#$%&*@example.com", "user!#$%&*@example.com"),
    ("jane@3m.com", "jane@3m.com"),
    ("jane@1and1.de", "jane@1and1.de"),
    ("jane@a-b-c.example.org", "jane@a-b-c.example.org"),
    ("jane@acme.example", "jane@acme.example"),
    ("jane@acme.test", "jane@acme.test"),
]

NO_ADDRESS = [
    ("", "not_an_address"),
    ("   ", "not_an_address"),
    ("none", "not_an_address"),
    ("n/a", "not_an_address"),
    ("jane", "not_an_address"),
    ("jane.doe", "not_an_address"),
    ("@example.com", "not_an_address"),
    ("jane@", "not_an_address"),
    ("jane@example", "not_an_address"),
    ("jane@@example.com", "not_an_address"),
    ("jane@exa@mple.com", "not_an_address"),
    ("jane doe@example.com", "not_an_address"),
    ("jane@exam ple.com", "not_an_address"),
    ("jane..doe@example.com", "not_an_address"),
    (".jane@example..com", "not_an_address"),
    ("jane.@example.com", "not_an_address"),
    ("jane@-example.com", "not_an_address"),
    ("jane@example-.com", "not_an_address"),
    ("jane@.example.com", "not_an_address"),
    ("jane@example.c", "not_an_address"),
    ("jane@192.168.0.1", "not_an_address"),
    ("jane@[192.168.0.1]", "not_an_address"),
    ("jane at example dot com", "not_an_address"),
    ("jane@example,com", "not_an_address"),
    ("http://example.com", "not_an_address"),
    ("jane@http://example.com", "not_an_address"),
    ("jane\x00@example.com", "not_an_address"),
    ("jane\r\nBcc: x@example.com", "not_an_address"),
    ('"jane doe"@example.com', "not_an_address"),
    ("jane@exa_mple.com", "not_an_address"),
    ("a" * 65 + "@example.com", "not_an_address"),
    ("jane@" + "a" * 64 + ".com", "not_an_address"),
    ("jane@" + "a." * 130 + "com", "not_an_address"),
    ("jane@example.com, john@example.com", "several_addresses"),
    ("jane@example.com; john@example.com", "several_addresses"),
    ("jane@example.com john@example.com", "several_addresses"),
    ("jane@example.com / john@example.com", "several_addresses"),
    ("jane@localhost.localhost", "reserved_domain"),
    ("jane@printer.local", "reserved_domain"),
    ("jane@example.invalid", "reserved_domain"),
    ("jane@hidden.onion", "reserved_domain"),
    ("jane@1.168.192.in-addr.arpa", "reserved_domain"),
]

KINDS = [
    ("jane@acme-industries.com", "business"),
    ("j.doe@siemens.com", "business"),
    ("jane@acme.example", "business"),
    ("information.officer@acme-industries.com", "business"),
    ("sandra.sales@acme-industries.com", "business"),
    ("jane@gmail.com", "free"),
    ("jane@googlemail.com", "free"),
    ("jane@gmx.de", "free"),
    ("jane@web.de", "free"),
    ("jane@t-online.de", "free"),
    ("jane@outlook.com", "free"),
    ("jane@hotmail.co.uk", "free"),
    ("jane@yahoo.co.jp", "free"),
    ("jane@icloud.com", "free"),
    ("jane@proton.me", "free"),
    ("jane@tutanota.com", "free"),
    ("jane@hey.com", "free"),
    ("jane@orange.fr", "free"),
    ("jane@libero.it", "free"),
    ("jane@mail.ru", "free"),
    ("123@qq.com", "free"),
    ("jane@mailinator.com", "disposable"),
    ("jane@yopmail.com", "disposable"),
    ("jane@guerrillamail.com", "disposable"),
    ("jane@10minutemail.com", "disposable"),
    ("jane@trashmail.com", "disposable"),
    ("jane@anything.mailinator.com", "disposable"),
    ("info@mailinator.com", "disposable"),
    ("info@acme-industries.com", "role"),
    ("sales@acme-industries.com", "role"),
    ("admin@acme-industries.com", "role"),
    ("no-reply@acme-industries.com", "role"),
    ("noreply@acme-industries.com", "role"),
    ("contact@acme-industries.fr", "role"),
    ("kontakt@acme-industries.de", "role"),
    ("vertrieb@acme-industries.de", "role"),
    ("ventas@acme-industries.es", "role"),
    ("info+fair@acme-industries.com", "role"),
    ("customer.service@acme-industries.com", "role"),
    ("human-resources@acme-industries.com", "role"),
    ("info@gmail.com", "role"),
    ("admissions.office@uni.edu", "student"),
    ("jane@consultant.com", "free"),
    ("jane@nus.edu.sg", "student"),
    ("jane@mit.edu", "student"),
    ("jane@cs.stanford.edu", "student"),
    ("jane@ox.ac.uk", "student"),
    ("jane@sydney.edu.au", "student"),
    ("jane@u-tokyo.ac.jp", "student"),
    ("jane@stud.tu-berlin.de", "student"),
    ("jane@student.kuleuven.be", "student"),
    ("jane@etu.univ-lyon1.fr", "student"),
]


@pytest.mark.parametrize(("typed", "folded"), ONE_PERSON)
def test_spellings_of_one_address_fold_alike(typed, folded):
    assert fold_email(typed) == folded


@pytest.mark.parametrize(("typed", "reason"), NO_ADDRESS)
def test_what_is_not_one_address_stays_unset_with_a_reason(typed, reason):
    read = read_email(typed)
    assert (read.delivery, read.folded, read.problem) == (None, None, reason)


@pytest.mark.parametrize(("address", "kind"), KINDS)
def test_the_kind_of_a_mailbox_is_told_by_its_address(address, kind):
    assert email_kind(address) == kind


def test_delivery_keeps_the_local_part_as_typed():
    assert delivery_email(" Jane.Doe+X@Example.COM ") == "Jane.Doe+X@example.com"


def test_plus_tags_and_dots_tell_people_apart():
    assert len({fold_email(text) for text in ("jane@gmail.com", "j.ane@gmail.com", "jane+a@gmail.com")}) == 3


@pytest.mark.parametrize(
    "typed",
    [
        "jаne@acme.com",
        "jane@аррӏе.com",
        "jane@paypаl.com",
        "jane@xn--80ak6aa92e.com",
        "pаypal@acme.com",
        "jane@gοοgle.com",
    ],
)
def test_a_look_alike_is_flagged_and_folds_apart_from_what_it_looks_like(typed):
    read = read_email(typed)
    assert read.is_lookalike
    assert read.folded not in {None, "jane@acme.com", "jane@apple.com", "jane@paypal.com", "paypal@acme.com"}


@pytest.mark.parametrize(
    "typed", ["jörg@münchen.de", "иван@почта.рф", "jane@δοκιμή.gr", "山田@example.jp", "jane@acme.com"]
)
def test_one_honest_alphabet_is_not_flagged(typed):
    assert not read_email(typed).is_lookalike
