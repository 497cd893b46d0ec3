"""The committed lock file of Kafka's jars."""

import re

from local_stack.artifacts import LOCK, SPEC, locked_jars

BROKER = "kafka_2.13"


def test_clients_and_every_other_kafka_jar_have_the_brokers_version() -> None:
    kafka = {jar.artifact: jar.version for jar in locked_jars() if jar.group == "org.apache.kafka"}
    assert kafka[BROKER].startswith("4.4.")
    assert {"kafka-clients", "kafka-server", "kafka-metadata", "kafka-storage"} <= kafka.keys()
    assert set(kafka.values()) == {kafka[BROKER]}


def test_logging_jars_have_one_version() -> None:
    log4j = {jar.artifact: jar.version for jar in locked_jars() if jar.group == "org.apache.logging.log4j"}
    assert log4j.keys() == {"log4j-api", "log4j-core", "log4j-slf4j-impl"}
    assert len(set(log4j.values())) == 1


def test_lock_is_of_the_committed_specification() -> None:
    wanted = set(re.findall(r'^ {4}"([^"]+)",$', SPEC.read_text("utf-8"), re.MULTILINE))
    locked = {f"{jar.group}:{jar.artifact}:{jar.version}" for jar in locked_jars()}
    assert len(wanted) == 3
    assert {coordinate.rstrip("!") for coordinate in wanted} <= locked


def test_every_jar_is_pinned_by_sha256_and_no_repository_is_named() -> None:
    jars = locked_jars()
    assert len(jars) > 40
    assert all(re.fullmatch(r"[0-9a-f]{64}", jar.sha256) for jar in jars)
    assert "://" not in LOCK.read_text("utf-8")
    assert "://" not in SPEC.read_text("utf-8")
