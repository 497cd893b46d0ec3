"""What every service's HTTP side shares: problems, pages, access."""

from shared.access import Principal
from shared.http.access import RequiredScope, require_scope
from shared.http.etag import IfMatch, check_if_match, etag_of
from shared.http.idempotency import IdempotentRoute
from shared.http.instant import Instant
from shared.http.page import Cursor, Limit, Page, Strict, decode_cursor, encode_cursor, invalid_cursor
from shared.http.problem import Problem

__all__ = [
    "Cursor", "IdempotentRoute", "IfMatch", "Instant", "Limit", "Page", "Principal", "Problem", "RequiredScope",
    "Strict", "check_if_match", "decode_cursor", "encode_cursor", "etag_of", "invalid_cursor", "require_scope",
]  # fmt: skip
