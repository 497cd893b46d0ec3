"""The topic registry and the services' wiring say the same."""

import ast
import zlib
from collections.abc import Iterator
from functools import cache
from typing import Any

import jsonschema
import pytest

from leadrail_tools.architecture.shape import SERVICES, package_of
from leadrail_tools.checkout import repository_root
from leadrail_tools.contracts.asyncapi import HEADERS, asyncapi_document
from leadrail_tools.contracts.services import declared_services
from shared.contracts import EVENTS, TOPICS, Event, LeadScored, Topic
from shared.ids import new_id
from shared.kafka import Outgoing, partition_of
from shared.runtime import Consumer

every_topic = pytest.mark.parametrize("topic", TOPICS, ids=[topic.name for topic in TOPICS])


@cache
def consumers() -> dict[str, Consumer[Any]]:
    return {consumer.name: consumer for service in declared_services().values() for consumer in service.consumers}


def read_topics(consumer: Consumer[Any]) -> set[str]:
    return {event.topic for event in consumer.handlers}


def test_consumer_groups_are_unique() -> None:
    names = [consumer.name for service in declared_services().values() for consumer in service.consumers]
    assert len(names) == len(set(names))


def test_consumer_groups_carry_their_services_name() -> None:
    misnamed = [
        (name, consumer.name)
        for name, service in declared_services().items()
        for consumer in service.consumers
        if consumer.name != name and not consumer.name.startswith(f"{name}-")
    ]
    assert misnamed == []


def test_the_services_read_what_the_registry_says_they_read() -> None:
    registered = {name: {topic.name for topic in TOPICS if name in topic.consumers} for name in registered_consumers()}
    assert {name: read_topics(consumer) for name, consumer in consumers().items()} == registered


def registered_consumers() -> set[str]:
    return {name for topic in TOPICS for name in topic.consumers}


@every_topic
def test_every_topic_has_a_producer_and_a_consumer(topic: Topic) -> None:
    assert topic.producers
    assert topic.consumers


@every_topic
def test_every_event_is_made_by_a_producer_of_its_topic(topic: Topic) -> None:
    allowed = {
        service for service in SERVICES for name in topic.producers if name == service or name.startswith(service)
    }
    assert {service for event in topic.events for service in makers(event)} <= allowed


@pytest.mark.parametrize("event", [event for event in EVENTS if event.topic != "leads.parking"])
def test_every_event_has_a_maker(event: type[Event]) -> None:
    assert makers(event)


@every_topic
def test_topic_names_have_dots_and_hyphens_only(topic: Topic) -> None:
    # Kafka folds dots and underscores together in metric names: two such topics could collide.
    assert set(topic.name) <= set("abcdefghijklmnopqrstuvwxyz.-")


def test_the_pipelines_topics_share_one_partition_count() -> None:
    assert len({topic.partitions for topic in TOPICS}) == 1


def test_the_asyncapi_document_names_every_send_and_receive() -> None:
    operations = asyncapi_document("1.0.0")["operations"]
    expected = {f"{name}.sends.{topic.name}" for topic in TOPICS for name in topic.producers}
    expected |= {f"{name}.receives.{topic.name}" for topic in TOPICS for name in topic.consumers}
    assert set(operations) == expected


def test_every_reference_inside_the_asyncapi_document_leads_somewhere() -> None:
    document = asyncapi_document("1.0.0")
    dangling = [reference for reference in references(document) if not leads_somewhere(document, reference)]
    assert dangling == []


def test_published_records_carry_the_documented_headers() -> None:
    record = Outgoing(new_id(), LeadScored.type, LeadScored.topic, "lead", "2026-03-02T09:30:00Z", b"{}", "00-ab-cd-01")
    headers = {name: value.decode() for name, value in record.headers(b"leadrail/scoring")}
    jsonschema.validate(headers, HEADERS)
    assert set(headers) == set(HEADERS["properties"])


def test_the_documented_partition_rule_is_the_producers() -> None:
    key = "01961000-0000-7000-8000-000000000001"
    assert partition_of(key, 6) == zlib.crc32(key.encode()) % 6


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        yield from ([node["$ref"]] if "$ref" in node else [])
        for child in node.values():
            yield from references(child)
    if isinstance(node, list):
        for child in node:
            yield from references(child)


def leads_somewhere(document: dict[str, Any], reference: str) -> bool:
    if reference.startswith("./"):
        return (repository_root() / "shared" / "contracts" / reference).is_file()
    node: Any = document
    for part in reference.removeprefix("#/").split("/"):
        node = node.get(part) if isinstance(node, dict) else None
    return node is not None


def makers(event: type[Event]) -> set[str]:
    """Return the services whose source makes an *event*."""
    return {service for service in SERVICES if event.__name__ in made_events(service)}


@cache
def made_events(service: str) -> frozenset[str]:
    """Return the names of what the service's source calls; an event class among them is an event it makes."""
    source = repository_root() / "services" / service / "src" / package_of(service)
    calls = (
        node.func
        for file in source.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call)
    )
    return frozenset(name for call in calls if (name := getattr(call, "id", None) or getattr(call, "attr", None)))
