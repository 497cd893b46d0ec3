"""From raw bytes to a payload, by content type."""

from ingest.domain.form_body import boundary_of, parse_multipart, parse_urlencoded
from ingest.domain.json_guard import Json, parse_json
from ingest.domain.refusal import refuse
from ingest.domain.senders.sender import ANY_CONTENT_TYPE, Sender
from ingest.domain.verification import Headers

_UTF8 = frozenset({"", "utf-8", "utf8"})


def content_type_of(headers: Headers) -> tuple[str, str]:
    """Return (media type, charset), both lower case, empty where absent."""
    text = headers.get(b"content-type", b"").decode("latin-1").lower()
    media_type, _, parameters = text.partition(";")
    charset = ""
    for parameter in parameters.split(";"):
        name, _, value = parameter.strip().partition("=")
        if name == "charset":
            charset = value.strip('"')
    return media_type.strip(), charset


def parse_body(sender: Sender, headers: Headers, body: bytes) -> tuple[Json, bool]:
    """Return (payload, came from a form). Errors: `RefusedBody`; its status is 415 for a type the sender never sends.

    For a sender of any type, what is not JSON has no payload: the mapping decides what that means.
    """
    media_type, charset = content_type_of(headers)
    if charset not in _UTF8 and media_type != "multipart/form-data":
        raise refuse(415, "charset_not_utf8", "", "only UTF-8 is accepted")
    takes_any = ANY_CONTENT_TYPE in sender.content_types
    if not takes_any and media_type not in sender.content_types:
        raise refuse(415, "content_type", "", "accepted: " + ", ".join(sorted(sender.content_types)))
    if media_type == "application/x-www-form-urlencoded" and not takes_any:
        return parse_urlencoded(body), True
    if media_type == "multipart/form-data" and not takes_any:
        boundary = boundary_of(headers[b"content-type"])
        if boundary is None:
            raise refuse(400, "not_multipart", "", "the boundary is missing")
        return parse_multipart(body, boundary), True
    if takes_any and "json" not in media_type:
        return None, False
    return parse_json(body, sender.json_limits), False
