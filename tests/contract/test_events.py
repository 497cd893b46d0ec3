"""The published examples and schemas are what the models read."""

import json
from pathlib import Path

import jsonschema
import msgspec
import pytest

from leadrail_tools.checkout import repository_root
from leadrail_tools.contracts.examples import example_of
from shared.contracts import EVENT_BY_TYPE, EVENTS, TOPICS, Event, encode_event

CONTRACTS = repository_root() / "shared" / "contracts"
every_event = pytest.mark.parametrize("event", EVENTS, ids=[event.type for event in EVENTS])


def published(event: type[Event], file: str) -> bytes:
    return (CONTRACTS / event.type / file).read_bytes()


@every_event
def test_the_published_example_is_valid_against_the_published_schema(event: type[Event]) -> None:
    schema = json.loads(published(event, "schema.json"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads(published(event, "example.json")), schema)


@every_event
def test_the_published_example_decodes_into_the_model(event: type[Event]) -> None:
    decoded = msgspec.json.decode(published(event, "example.json"), type=event)
    assert msgspec.json.decode(encode_event(decoded), type=event) == decoded


@every_event
def test_what_the_model_writes_is_valid_against_the_published_schema(event: type[Event]) -> None:
    written = encode_event(msgspec.json.decode(published(event, "example.json"), type=event))
    jsonschema.validate(json.loads(written), json.loads(published(event, "schema.json")))


@every_event
def test_readers_ignore_fields_they_do_not_know(event: type[Event]) -> None:
    plain = example_of(event)
    extended = plain | {"from_the_future": {"x": [1]}}
    assert msgspec.json.decode(json.dumps(extended), type=event) == msgspec.json.decode(json.dumps(plain), type=event)


@every_event
def test_an_example_is_the_same_each_time(event: type[Event]) -> None:
    assert json.dumps(example_of(event)) == json.dumps(example_of(event))


@every_event
def test_an_event_type_carries_its_version(event: type[Event]) -> None:
    assert event.type.startswith("leadrail.")
    assert event.type.rsplit(".v", 1)[1].isdigit()


def test_event_types_are_unique() -> None:
    assert len(EVENT_BY_TYPE) == len(EVENTS)


def test_every_event_is_published_on_exactly_the_topic_it_names() -> None:
    assert {event.type: event.topic for event in EVENTS} == {
        event.type: topic.name for topic in TOPICS for event in topic.events
    }


def test_no_schema_folder_is_left_of_an_event_that_is_gone() -> None:
    folders = {path.name for path in Path(CONTRACTS).iterdir() if path.is_dir()}
    assert folders == set(EVENT_BY_TYPE)
