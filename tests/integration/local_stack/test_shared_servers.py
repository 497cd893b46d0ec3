"""The real servers that tests share."""

import asyncpg
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from local_stack.lease import ServerUrls


async def test_database_is_postgresql_18_with_checksums_and_without_other_tests_tables(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        assert connection.get_server_version().major == 18
        assert await connection.fetchval("SHOW data_checksums") == "on"
        assert await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0
    finally:
        await connection.close()


async def test_password_is_required_even_on_loopback(servers: ServerUrls) -> None:
    without = servers.database_url.replace(servers.database_url.split(":")[2].split("@")[0], "wrong")
    try:
        connection = await asyncpg.connect(without)
    except asyncpg.InvalidPasswordError:
        return
    await connection.close()
    raise AssertionError("a wrong password was accepted")


async def test_broker_makes_no_topic_that_nobody_created(kafka_bootstrap_servers: str, topic_prefix: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_bootstrap_servers)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(f"{topic_prefix}made", num_partitions=2, replication_factor=1)])
        await admin.describe_topics([f"{topic_prefix}never-made"])
        topics = await admin.list_topics()
    finally:
        await admin.close()
    assert f"{topic_prefix}made" in topics
    assert f"{topic_prefix}never-made" not in topics
