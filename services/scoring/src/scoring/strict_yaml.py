"""YAML in which nothing is lost silently: of two equal keys YAML keeps the second, and a rule would just be gone."""

from collections.abc import Iterator
from typing import Any

import yaml

from shared.documents import DocumentInvalid, load_yaml


def load_strict_yaml(text: str) -> Any:
    """Return what *text* holds. Errors: `DocumentInvalid`, also for a key that stands twice."""
    value = load_yaml(text)
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    if faults := list(_repeated_keys(node, "")):
        raise DocumentInvalid([{"pointer": pointer, "detail": "this key stands twice"} for pointer in faults])
    return value


def _repeated_keys(node: yaml.Node | None, pointer: str) -> Iterator[str]:
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _repeated_keys(item, f"{pointer}/{index}")
    elif isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            name = str(key.value)
            below = f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}"
            if name in seen:
                yield below
            seen.add(name)
            yield from _repeated_keys(value, below)
