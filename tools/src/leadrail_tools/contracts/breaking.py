"""What a change of a JSON Schema does to those who already write and read it.

Kafka keeps old events while new code reads them, and old code reads new events during a rollout. A change is breaking
when either decode fails or silently means something else. What only widens is a notice: deploy the readers first.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Schema = Mapping[str, Any]

LOWER_BOUNDS = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
UPPER_BOUNDS = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")


@dataclass(frozen=True, order=True)
class Change:
    """One difference between two versions of a schema. ``path`` is a JSON pointer into the payload."""

    severity: Literal["breaking", "notice"]
    type: str
    path: str
    what: str

    def __str__(self) -> str:
        return f"{self.type}: {self.path or '/'}: {self.what}"


def changes_between(old: Mapping[str, Schema], new: Mapping[str, Schema]) -> list[Change]:
    """Compare two sets of schemas by event type."""
    found: list[Change] = []
    for name in sorted(old):
        if name not in new:
            found.append(Change("breaking", name, "", "event type removed"))
        else:
            found += _Comparison(name, old[name], new[name]).changes()
    return sorted(found)


def moves_between(old: Schema, new: Schema) -> list[Change]:
    """Compare two AsyncAPI documents: consumers subscribe to topics, and order is kept per partition of a topic.

    An event that is gone altogether is `changes_between`'s to tell.
    """
    before, after = _topic_by_type(old), _topic_by_type(new)
    found = [
        Change("breaking", name, "", f"moved from {topic} to {after[name]}: its readers wait at the old topic")
        for name, topic in before.items()
        if name in after and after[name] != topic
    ]
    channels = new.get("channels", {})
    for topic, channel in old.get("channels", {}).items():
        counts = [_partitions(one) for one in (channel, channels.get(topic, channel))]
        if counts[0] != counts[1]:
            what = f"partitions changed from {counts[0]} to {counts[1]}: each lead's events change place and lose order"
            found.append(Change("breaking", topic, "", what))
    return sorted(found)


def _topic_by_type(document: Schema) -> dict[str, str]:
    messages = document.get("components", {}).get("messages", {})
    return {
        messages[name]["name"]: topic
        for topic, channel in document.get("channels", {}).items()
        for name in channel["messages"]
    }


def _partitions(channel: Schema) -> int:
    return int(channel["bindings"]["kafka"]["partitions"])


class _Comparison:
    """One event type: the two root schemas, against which references resolve."""

    def __init__(self, name: str, old: Schema, new: Schema) -> None:
        self._name, self._old, self._new = name, old, new

    def changes(self) -> Iterator[Change]:
        yield from self._compare(self._old, self._new, "")

    def _breaking(self, path: str, what: str) -> Change:
        return Change("breaking", self._name, path, what)

    def _notice(self, path: str, what: str) -> Change:
        return Change("notice", self._name, path, what)

    def _compare(self, old: Schema, new: Schema, path: str) -> Iterator[Change]:
        before, after = _by_kind(old, self._old), _by_kind(new, self._new)
        for kind, schema in before.items():
            match = after.get(kind) or (after.get("number") if kind == "integer" else None) or after.get("any")
            if match is None:
                yield self._breaking(path, f"type narrowed: {kind} is no longer accepted")
            else:
                yield from self._compare_kind(kind, schema, match, path)
        for kind in after:
            if kind not in before and "any" not in before:
                yield self._notice(path, f"type widened: {kind} is now accepted")

    def _compare_kind(self, kind: str, old: Schema, new: Schema, path: str) -> Iterator[Change]:
        yield from self._values(old, new, path)
        yield from self._bounds(old, new, path)
        if kind == "object":
            yield from self._fields(old, new, path)
        if kind == "array":
            yield from self._items(old, new, path)

    def _values(self, old: Schema, new: Schema, path: str) -> Iterator[Change]:
        before, after = _allowed(old), _allowed(new)
        if after is not None:
            removed = sorted(map(str, before - after)) if before is not None else ["any other value"]
            if removed:
                yield self._breaking(path, f"enum value removed: {', '.join(removed)}")
        if before is not None and (after is None or after - before):
            added = ", ".join(sorted(map(str, after - before))) if after is not None else "any value"
            yield self._notice(path, f"enum value added: {added}")

    def _bounds(self, old: Schema, new: Schema, path: str) -> Iterator[Change]:
        for names, sign in ((LOWER_BOUNDS, 1), (UPPER_BOUNDS, -1)):
            for name in names:
                if name in new and (name not in old or sign * new[name] > sign * old[name]):
                    yield self._breaking(path, f"type narrowed: {name} is now {new[name]}")
        for name in ("pattern", "format", "multipleOf"):
            if name in new and new.get(name) != old.get(name):
                yield self._breaking(path, f"type narrowed: {name} is now {new[name]}")

    def _fields(self, old: Schema, new: Schema, path: str) -> Iterator[Change]:
        before, after = old.get("properties", {}), new.get("properties", {})
        needed_before, needed_after = set(old.get("required", ())), set(new.get("required", ()))
        for name in before:
            here = f"{path}/{name}"
            if name not in after:
                yield self._breaking(here, "field removed")
                continue
            yield from self._compare(before[name], after[name], here)
            if name in needed_after - needed_before:
                yield self._breaking(here, "field became required: older events lack it")
            elif name in needed_before - needed_after:
                yield self._breaking(here, "field became optional: older readers need it")
            elif name not in needed_after and before[name].get("default") != after[name].get("default"):
                # Defaults are not written into events: another default changes what an absent field means.
                yield self._breaking(here, "default changed: events without the field now mean something else")
        for name in needed_after - set(before):
            yield self._breaking(f"{path}/{name}", "new required field: older events lack it")
        yield from self._other_fields(old, new, path)

    def _other_fields(self, old: Schema, new: Schema, path: str) -> Iterator[Change]:
        before, after = old.get("additionalProperties", True), new.get("additionalProperties", True)
        if after is False and before is not False:
            yield self._breaking(path, "type narrowed: unknown fields are no longer accepted")
        elif isinstance(after, Mapping):
            yield from self._compare(before if isinstance(before, Mapping) else {}, after, f"{path}/*")

    def _items(self, old: Schema, new: Schema, path: str) -> Iterator[Change]:
        before, after = old.get("items", {}), new.get("items", {})
        if after is False and before is not False:
            yield self._breaking(path, "type narrowed: no further items are accepted")
        elif isinstance(before, Mapping) and isinstance(after, Mapping):
            yield from self._compare(before, after, f"{path}/-")
        olds, news = old.get("prefixItems", ()), new.get("prefixItems", ())
        for number, (first, second) in enumerate(zip(olds, news, strict=False)):
            yield from self._compare(first, second, f"{path}/{number}")


def _by_kind(schema: Schema, root: Schema) -> dict[str, Schema]:
    """Return the alternatives of *schema* by JSON type; ``any`` when it does not say."""
    if "$ref" in schema:
        target: Any = root
        for part in str(schema["$ref"]).removeprefix("#/").split("/"):
            target = target[part]
        return _by_kind(target, root)
    found: dict[str, Schema] = {}
    for choice in schema.get("anyOf", ()) or schema.get("oneOf", ()):
        found |= _by_kind(choice, root)
    if found:
        return found
    kinds = schema.get("type")
    if kinds is None:
        values = _allowed(schema)
        kinds = sorted({_kind_of(value) for value in values}) if values is not None else "any"
    return dict.fromkeys([kinds] if isinstance(kinds, str) else kinds, schema)


def _kind_of(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    return "string" if isinstance(value, str) else "number"


def _allowed(schema: Schema) -> set[Any] | None:
    if "const" in schema:
        return {schema["const"]}
    return set(schema["enum"]) if "enum" in schema else None
