"""JSON Schemas (2020-12) of the events, from their models."""

from inspect import cleandoc
from typing import Any

import msgspec
from msgspec import inspect

from shared.contracts import Event

SCHEMA_ID = "https://leadrail.dev/schemas/{type}.json"


def schema_of(event: type[Event]) -> dict[str, Any]:
    """Return the JSON Schema of *event*'s payload. Unknown fields are allowed: readers ignore them."""
    # Through JSON: a default of () is an array to those who read the schema.
    schema = msgspec.json.decode(msgspec.json.encode(msgspec.json.schema(event)))
    definitions = schema.pop("$defs")
    for struct in _structs(inspect.type_info(event)):
        _complete(definitions[struct.cls.__name__], struct)
    own = definitions.pop(event.__name__)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID.format(type=event.type),
        **own,
        "title": event.type,
        "$defs": {name: definitions[name] for name in sorted(definitions)},
    }


def _complete(definition: dict[str, Any], struct: inspect.StructType) -> None:
    """Say what msgspec leaves out: instants are RFC 3339. Without the docstring's indentation."""
    if "description" in definition:
        definition["description"] = cleandoc(definition["description"])
    for field in struct.fields:
        if isinstance(field.type, inspect.DateTimeType):
            definition["properties"][field.encode_name]["format"] = "date-time"


def _structs(info: inspect.Type) -> list[inspect.StructType]:
    """Return the struct types inside *info*, itself included."""
    match info:
        case inspect.StructType(fields=fields):
            return [info, *(struct for field in fields for struct in _structs(field.type))]
        case inspect.UnionType(types=types):
            return [struct for kind in types for struct in _structs(kind)]
        case inspect.VarTupleType(item_type=item):
            return _structs(item)
        case _:
            return []
