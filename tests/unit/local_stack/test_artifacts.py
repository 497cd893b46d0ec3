"""Fetching the locked jars."""

import hashlib
from pathlib import Path

import pytest

from local_stack import artifacts
from local_stack.artifacts import Jar
from local_stack.failure import StackError

CONTENT = b"jar bytes"
JAR = Jar("org.example", "thing", "1.0", hashlib.sha256(CONTENT).hexdigest())


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Jar]:
    """Serve CONTENT for every jar from a pretended repository; return what was asked of it."""
    asked: list[Jar] = []

    def fetch(jar: Jar, into: Path) -> Path:
        asked.append(jar)
        into.mkdir(parents=True, exist_ok=True)
        file = into / jar.filename
        file.write_bytes(CONTENT)
        return file

    monkeypatch.setenv("LEADRAIL_CACHE", str(tmp_path))
    monkeypatch.setattr(artifacts, "_fetch", fetch)
    monkeypatch.setattr(artifacts, "locked_jars", lambda: [JAR])
    return asked


def test_second_start_downloads_nothing(fetched: list[Jar]) -> None:
    first = artifacts.kafka_jars()
    assert artifacts.kafka_jars() == first
    assert [file.name for file in first.iterdir()] == ["thing-1.0.jar"]
    assert fetched == [JAR]


def test_jar_damaged_in_the_cache_is_downloaded_again(fetched: list[Jar]) -> None:
    folder = artifacts.kafka_jars()
    (folder / JAR.filename).write_bytes(b"damaged")
    assert (artifacts.kafka_jars() / JAR.filename).read_bytes() == CONTENT
    assert len(fetched) == 2


@pytest.mark.usefixtures("fetched")
def test_other_bytes_than_locked_are_refused_and_leave_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    other = JAR._replace(sha256="0" * 64)
    monkeypatch.setattr(artifacts, "locked_jars", lambda: [other])
    with pytest.raises(StackError, match=r"thing-1\.0\.jar does not have the SHA-256"):
        artifacts.kafka_jars()
    assert [entry.name for entry in (tmp_path / "kafka").iterdir()] == ["download.lock"]
