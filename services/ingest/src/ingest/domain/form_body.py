"""Form bodies: urlencoded and multipart/form-data, with limits, into one flat dict of text fields."""

from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from ingest.domain.refusal import RefusedBody, pointer_of, refuse

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

MAX_FIELDS: Final = 100
MAX_FIELD_BYTES: Final = 64 * 1024
_MAX_NAME: Final = 200


def parse_urlencoded(body: bytes) -> dict[str, str]:
    """Return the fields of an ``application/x-www-form-urlencoded`` body. Errors: `RefusedBody`.

    A field that occurs more than once (check boxes of one group) becomes one value, joined by ``", "``.
    """
    if body.count(b"&") >= MAX_FIELDS:
        raise _too_many_fields()
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict")
    except UnicodeDecodeError:
        raise refuse(400, "not_utf8", "", "a field is not UTF-8, or not percent-encoded") from None
    if len(body) > MAX_FIELD_BYTES:
        for name, value in pairs:
            if len(value) > MAX_FIELD_BYTES or len(value.encode()) > MAX_FIELD_BYTES:
                raise _too_large(name)
    return _fields(pairs)


def parse_multipart(body: bytes, boundary: bytes) -> dict[str, str]:
    """Return the text fields of a ``multipart/form-data`` body. Errors: `RefusedBody`.

    An empty file input is passed over; a file with content is refused: a lead form has no use for one, and it would
    have to be checked for what it may carry.
    """
    parts = _Parts()
    try:
        parser = MultipartParser(boundary, parts.callbacks())  # it limits the headers of a part by itself
        parser.write(body)
        parser.finalize()
    except (MultipartParseError, ValueError) as error:
        if isinstance(error, RefusedBody):
            raise
        raise refuse(400, "not_multipart", "", "not a multipart/form-data body") from None
    if not parts.is_ended:
        raise refuse(400, "not_multipart", "", "the closing boundary is missing")
    return _fields(parts.fields)


def boundary_of(content_type: bytes) -> bytes | None:
    """Return the boundary that *content_type* announces, None if it has none or one that is not allowed (RFC 2046)."""
    _, options = parse_options_header(content_type)
    boundary = options.get(b"boundary", b"")
    return boundary if 1 <= len(boundary) <= 70 else None


def _fields(pairs: list[tuple[str, str]]) -> dict[str, str]:
    fields: dict[str, str] = {}
    for name, value in pairs:
        if "\0" in name or "\0" in value:
            raise refuse(422, "null_character", pointer_of((name.replace("\0", "\ufffd"),)), "U+0000 is not accepted")
        if len(name) > _MAX_NAME:
            raise refuse(422, "field_name_too_long", pointer_of((name,)), f"more than {_MAX_NAME} characters")
        fields[name] = f"{fields[name]}, {value}" if name in fields else value
    return fields


def _too_many_fields() -> RefusedBody:
    return refuse(413, "too_many_fields", "", f"more than {MAX_FIELDS} fields")


def _too_large(name: str) -> RefusedBody:
    return refuse(413, "field_too_large", pointer_of((name,)), f"more than {MAX_FIELD_BYTES} bytes")


class _Parts:
    """Collects the parts of one body while the parser pushes them, and stops it at the first limit."""

    def __init__(self) -> None:
        self.fields: list[tuple[str, str]] = []
        self.is_ended = False
        self._count = 0
        self._reset()

    def _reset(self) -> None:
        self._headers: dict[bytes, bytes] = {}
        self._header_name = bytearray()
        self._header_value = bytearray()
        self._name = ""
        self._is_file = False
        self._data = bytearray()

    def callbacks(self) -> "MultipartCallbacks":
        return {
            "on_part_begin": self._on_part_begin,
            "on_header_field": self._on_header_field,
            "on_header_value": self._on_header_value,
            "on_header_end": self._on_header_end,
            "on_headers_finished": self._on_headers_finished,
            "on_part_data": self._on_part_data,
            "on_part_end": self._on_part_end,
            "on_end": self._on_end,
        }

    def _on_part_begin(self) -> None:
        self._reset()
        self._count += 1
        if self._count > MAX_FIELDS:
            raise _too_many_fields()

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _on_header_end(self) -> None:
        self._headers[bytes(self._header_name).lower()] = bytes(self._header_value)
        self._header_name.clear()
        self._header_value.clear()

    def _on_headers_finished(self) -> None:
        disposition, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        if disposition != b"form-data" or b"name" not in options:
            raise refuse(400, "not_multipart", "", "a part has no form-data name")
        self._name = _text(options[b"name"], "")
        self._is_file = b"filename" in options

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._is_file:
            raise refuse(422, "file_not_accepted", pointer_of((self._name,)), "files are not accepted")
        self._data += data[start:end]
        if len(self._data) > MAX_FIELD_BYTES:
            raise _too_large(self._name)

    def _on_part_end(self) -> None:
        if not self._is_file:
            self.fields.append((self._name, _text(bytes(self._data), self._name)))

    def _on_end(self) -> None:
        self.is_ended = True


def _text(data: bytes, name: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise refuse(400, "not_utf8", pointer_of((name,)) if name else "", "not UTF-8") from None
