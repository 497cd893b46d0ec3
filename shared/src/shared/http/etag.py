"""ETag and If-Match: who changes what somebody else has changed meanwhile is told so."""

from typing import Annotated

from fastapi import Header

from shared.http.problem import Problem

IfMatch = Annotated[
    str | None,
    Header(max_length=500, description="`ETag` of the version that is to be changed; if it has changed since: 412."),
]


def etag_of(revision: int) -> str:
    """Return the strong entity tag of a revision."""
    return f'"{revision}"'


def check_if_match(header: str | None, revision: int) -> None:
    """Errors: `Problem` 412 if *header* names other revisions only. Without the header nothing is asked."""
    if header is None:
        return
    tags = {tag.strip() for tag in header.split(",")}
    present = etag_of(revision)
    if "*" not in tags and present not in tags:
        raise Problem(412, "changed_meanwhile", "It was changed since: read it again", headers={"ETag": present})
