"""Whatever a caller with a key sends to any documented route is answered, and what is refused is a problem document.

The requests are made from the OpenAPI document, so a new route is covered when it is there.
"""

import json
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import quote

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leadrail_tools.contracts.services import application
from shared.http import encode_cursor
from shared.testing import ServiceHarness
from shared.testing.builders import make_enriched

LEAD: Final = "0192f0c0-0000-7000-8000-000000000001"
ODD: Final = (
    "", "0", "-1", "1", "2", "2147483648", "99999999999999999999", "nan", "1e400", "true", "null", "nonsense", "😀",
    "a\x00b", "../..", "' OR 1=1 --", "x" * 600, LEAD, "01890000-0000-7000-8000-000000000000", "2026-11-24T10:00:00Z",
    "9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+14:00", "2199-12-31T00:00:00Z", "A", "plan", "done",
    encode_cursor("1"), encode_cursor("nan", LEAD), encode_cursor(LEAD), encode_cursor("points", "inf", LEAD),
)  # fmt: skip
odd_text = st.sampled_from(ODD) | st.text(max_size=20)
odd_value = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | odd_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)
SIMPLE: Final[dict[Any, st.SearchStrategy[Any]]] = {
    "integer": st.integers(-2, 400) | st.integers(),
    "number": st.floats(-10, 400) | st.floats(),
    "boolean": st.booleans(),
    "string": odd_text,
}
DOCUMENT: Final = application("scoring").openapi()
SCHEMAS: Final = DOCUMENT["components"]["schemas"]


def fitting(schema: dict[str, Any], depth: int = 0) -> st.SearchStrategy[Any]:
    """Values of about the shape that *schema* describes, sometimes of quite another."""
    if "$ref" in schema:
        return fitting(SCHEMAS[schema["$ref"].rpartition("/")[2]], depth)
    if depth > 4:
        return odd_value
    if "anyOf" in schema:
        return st.one_of([fitting(each, depth) for each in schema["anyOf"]])
    if "enum" in schema:
        return st.sampled_from(schema["enum"]) | odd_text
    match schema.get("type"):
        case "object":
            fields = {name: fitting(each, depth + 1) for name, each in schema.get("properties", {}).items()}
            required = {name: fields[name] for name in schema.get("required", ())}
            others = {name: each for name, each in fields.items() if name not in required}
            return st.fixed_dictionaries(required, optional=others) | odd_value
        case "array":
            return st.lists(fitting(schema.get("items", {}), depth + 1), max_size=3)
        case "string" if schema.get("format") == "date-time":
            return st.datetimes().map(lambda instant: f"{instant.isoformat()}Z") | odd_text
        case kind:
            return SIMPLE.get(kind, odd_value)


@st.composite
def requests(draw: st.DrawFn, method: str, path: str, operation: dict[str, Any]) -> httpx.Request:
    """A request to one operation."""
    query: dict[str, str] = {}
    for parameter in operation.get("parameters", ()):
        value = draw(odd_text | fitting(parameter["schema"]).map(str))
        if parameter["in"] == "path":
            value = draw(st.sampled_from([value, LEAD, "1"]))
            path = path.replace(f"{{{parameter['name']}}}", quote(value, safe="", errors="replace") or "%20")
        elif parameter["in"] == "query" and draw(st.booleans()):
            query[parameter["name"]] = value.encode("utf-8", "replace").decode()
    content = None
    if "requestBody" in operation:
        body = draw(fitting(operation["requestBody"]["content"]["application/json"]["schema"]) | odd_value)
        content = draw(st.just(json.dumps(body).encode()) | st.binary(max_size=20))
    headers = {"Content-Type": "application/json"}
    return httpx.Request(method.upper(), f"http://test{path}", params=query, content=content, headers=headers)


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in DOCUMENT["paths"].items():
        for method, operation in item.items():
            yield method, path, operation


@given(sent=st.tuples(*(requests(*each) for each in operations())))
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
async def test_no_request_to_any_route_is_our_failure(scoring: ServiceHarness, sent: tuple[httpx.Request, ...]) -> None:
    await scoring.feed(make_enriched(LEAD))
    for request in sent:
        request.headers["Authorization"] = scoring.http.headers["Authorization"]
        answer = await scoring.http.send(request)
        told = f"{request.method} {request.url} {request.content!r}: {answer.status_code} {answer.text[:300]}"
        assert answer.status_code < 500, told
        assert not answer.is_error or answer.headers["content-type"] == "application/problem+json", told
