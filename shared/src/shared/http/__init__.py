"""What every service's HTTP side shares: problems, pages, access."""

from shared.access import Principal
from shared.http.access import RequiredScope, require_scope
from shared.http.page import Cursor, Limit, Page, Strict, decode_cursor, encode_cursor, invalid_cursor
from shared.http.problem import Problem

__all__ = [
    "Cursor", "Limit", "Page", "Principal", "Problem", "RequiredScope", "Strict", "decode_cursor", "encode_cursor",
    "invalid_cursor", "require_scope",
]  # fmt: skip
