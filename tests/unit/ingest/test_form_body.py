"""Form bodies: fields come out, limits hold, files stay out."""

from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.domain.form_body import boundary_of, parse_multipart, parse_urlencoded
from ingest.domain.refusal import RefusedBody

END = b"--xx--\r\n"


def part(name: str, data: bytes, filename: str | None = None) -> bytes:
    file = f'; filename="{filename}"' if filename is not None else ""
    return f'--xx\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode() + data + b"\r\n"


def refusal_of(parse: Any, *arguments: Any) -> tuple[int, str, str]:
    with pytest.raises(RefusedBody) as refused:
        parse(*arguments)
    return refused.value.status, refused.value.code, refused.value.refusals[0].pointer


def test_urlencoded_fields():
    assert parse_urlencoded(b"email=a%40b.de&name=J%C3%B6rg+M&empty=") == {
        "email": "a@b.de", "name": "Jörg M", "empty": "",
    }  # fmt: skip


def test_check_boxes_of_one_group_are_one_value():
    assert parse_urlencoded(b"topic=crm&topic=ads") == {"topic": "crm, ads"}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"&".join(b"f%d=1" % n for n in range(101)), (413, "too_many_fields", "")),
        (b"name=%FF", (400, "not_utf8", "")),
        (b"name=\xff", (400, "not_utf8", "")),
        (b"name=a%00b", (422, "null_character", "/name")),
        (b"message=" + b"x" * 65_537, (413, "field_too_large", "/message")),
        (b"n" * 201 + b"=1", (422, "field_name_too_long", "/" + "n" * 80)),
    ],
)
def test_urlencoded_limits(body: bytes, expected: tuple[int, str, str]):
    assert refusal_of(parse_urlencoded, body) == expected


def test_multipart_fields_and_an_empty_file_input():
    body = part("email", b"a@b.de") + part("name", "Jörg".encode()) + part("cv", b"", filename="") + END
    assert parse_multipart(body, b"xx") == {"email": "a@b.de", "name": "Jörg"}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", (400, "not_multipart", "")),
        (b"junk", (400, "not_multipart", "")),
        (part("email", b"a@b.de"), (400, "not_multipart", "")),
        (part("cv", b"MZ", filename="a.exe") + END, (422, "file_not_accepted", "/cv")),
        (part("name", b"\xff") + END, (400, "not_utf8", "/name")),
        (part("message", b"x" * 65_537) + END, (413, "field_too_large", "/message")),
        (b"".join(part(f"f{n}", b"1") for n in range(101)) + END, (413, "too_many_fields", "")),
        (b"--xx\r\nContent-Type: text/plain\r\n\r\nx\r\n" + END, (400, "not_multipart", "")),
        (b"--xx\r\nX-Long: " + b"h" * 5_000 + b"\r\n\r\nx\r\n" + END, (400, "not_multipart", "")),
    ],
)
def test_multipart_limits(body: bytes, expected: tuple[int, str, str]):
    assert refusal_of(parse_multipart, body, b"xx") == expected


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        (b'multipart/form-data; boundary="a b"', b"a b"),
        (b"multipart/form-data; boundary=xx", b"xx"),
        (b"multipart/form-data", None),
        (b"multipart/form-data; boundary=" + b"x" * 71, None),
    ],
)
def test_the_boundary(content_type: bytes, boundary: bytes | None):
    assert boundary_of(content_type) == boundary


names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20)


@settings(max_examples=100, deadline=None)
@given(fields=st.dictionaries(names, st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))))
def test_what_a_browser_encodes_comes_back(fields: dict[str, str]):
    assert parse_urlencoded(urlencode(fields).encode()) == fields


@settings(max_examples=100, deadline=None)
@given(body=st.binary(max_size=200), boundary=st.sampled_from([b"xx", b"-", b"boundary"]))
def test_whatever_comes_is_parsed_or_refused(body: bytes, boundary: bytes):
    for parse in (lambda: parse_multipart(b"--" + boundary + body, boundary), lambda: parse_urlencoded(body)):
        try:
            assert isinstance(parse(), dict)
        except RefusedBody as refused:
            assert refused.refusals  # noqa: PT017 - either outcome is right
