"""An AsyncAPI 3 document from the topic registry: who sends what to whom, how it is keyed, kept and partitioned."""

import inspect
from typing import Any

from shared.contracts import EVENTS, TOPICS, Event, Topic

KEY = "lead_id, as UTF-8. Partition = CRC-32 of the key, modulo the partition count."
HEADERS: dict[str, Any] = {
    "type": "object",
    "description": "CloudEvents 1.0, binary mode.",
    "required": ["ce_specversion", "ce_id", "ce_type", "ce_source", "ce_time", "content-type"],
    "properties": {
        "ce_specversion": {"type": "string", "const": "1.0"},
        "ce_id": {"type": "string", "format": "uuid", "description": "UUIDv7. A reader drops an id that it has seen."},
        "ce_type": {"type": "string", "description": "The event type with its version."},
        "ce_source": {"type": "string", "description": "leadrail/<service>."},
        "ce_time": {"type": "string", "format": "date-time", "description": "When its transaction took place."},
        "content-type": {"type": "string", "const": "application/json"},
        "traceparent": {"type": "string", "description": "W3C trace context."},
    },
}


def asyncapi_document(version: str, topics: tuple[Topic, ...] = TOPICS) -> dict[str, Any]:
    """Return the document as data. Message payloads refer to the schema files beside it."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Leadrail events",
            "version": version,
            "description": (
                "Delivery is at least once and ordered per key and topic. Drop the event ids you have seen; ignore the "
                "fields you do not know."
            ),
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "kafka": {
                "host": "{bootstrap}",
                "protocol": "kafka",
                "description": "The installation's Apache Kafka.",
                "variables": {"bootstrap": {"default": "127.0.0.1:9092", "description": "KAFKA_BOOTSTRAP_SERVERS"}},
            }
        },
        "channels": {topic.name: _channel(topic) for topic in topics},
        "operations": dict(_operations(topics)),
        "components": {"messages": {event.__name__: _message(event) for event in EVENTS}},
    }


def _channel(topic: Topic) -> dict[str, Any]:
    return {
        "address": topic.name,
        "description": topic.description,
        "messages": {event.__name__: {"$ref": f"#/components/messages/{event.__name__}"} for event in topic.events},
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "partitions": topic.partitions,
                "topicConfiguration": {
                    "cleanup.policy": ["delete"],
                    "retention.ms": int(topic.retention.total_seconds() * 1000),
                },
                "bindingVersion": "0.5.0",
            }
        },
    }


def _operations(topics: tuple[Topic, ...]) -> list[tuple[str, dict[str, Any]]]:
    found: list[tuple[str, dict[str, Any]]] = []
    for topic in topics:
        channel = {"channel": {"$ref": f"#/channels/{topic.name}"}}
        for producer in topic.producers:
            summary = f"{producer} writes {topic.name}."
            found.append((f"{producer}.sends.{topic.name}", {"action": "send", **channel, "summary": summary}))
        for consumer in topic.consumers:
            group = {"groupId": {"type": "string", "const": consumer}, "bindingVersion": "0.5.0"}
            summary = f"Consumer group {consumer} reads {topic.name}."
            operation = {"action": "receive", **channel, "summary": summary, "bindings": {"kafka": group}}
            found.append((f"{consumer}.receives.{topic.name}", operation))
    return found


def _message(event: type[Event]) -> dict[str, Any]:
    return {
        "name": event.type,
        "title": event.__name__,
        "description": inspect.cleandoc(event.__doc__ or ""),
        "contentType": "application/json",
        "headers": HEADERS,
        "payload": {
            "schemaFormat": "application/schema+json;version=draft-2020-12",
            "schema": {"$ref": f"./{event.type}/schema.json"},
        },
        "bindings": {"kafka": {"key": {"type": "string", "description": KEY}, "bindingVersion": "0.5.0"}},
    }
