# SPDX-License-Identifier: Apache-2.0
"""Published connectors as they are on Maven Central (tests/jars/fetch.sh): a table of PostgreSQL to
another one by Debezium's source and sink, over the embedded log; and MirrorMaker's configuration.
Kafka's file connectors are in test_java_worker.py; scripts/show.sh published-jars has them all, on
RocketMQ and with a million records."""
import hashlib
import os
import signal
import sys

import pytest
from conftest import ROOT, wait_until
from hosts.test_java_host import JAR
from hosts.test_java_worker import JSON, QUICK, create, java_hosts

sys.path[:0] = [str(ROOT / "tests/jars"), str(ROOT / "tests/rocketmq")]
import jars_kit  # noqa: E402
import servers  # noqa: E402

pytestmark = pytest.mark.skipif(not JAR.exists(), reason="not built: target java_host")
# Scanning large jars is work: a heartbeat as quick as in other tests would miss it.
KEYS = {**QUICK, "host.heartbeat": "1s",
        "host.java.options": QUICK["host.java.options"].replace("-Xmx96m", "-Xmx256m")}
POSTGRES = "io.debezium.connector.postgresql.PostgresConnector"
JDBC = "io.debezium.connector.jdbc.JdbcSinkConnector"
MIRROR = "org.apache.kafka.connect.mirror.MirrorSourceConnector"
COUNT = 3000


def make(make_worker, tmp_path, *names):
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    for name in names:
        (plugins / name).symlink_to(jars_kit.jars(name))
    return make_worker(pluginPaths=plugins, **KEYS).start()


@pytest.fixture
def postgres(tmp_path):
    with servers.Postgres(tmp_path / "postgres") as database:
        yield database


def rows(database, table):
    return {int(i): (int(v), body)
            for i, v, body in database.sql(f"SELECT id, v, body FROM {table};")}


def test_a_table_to_another_by_debezium(make_worker, tmp_path, postgres):
    postgres.sql("CREATE TABLE items (id bigint PRIMARY KEY, v int NOT NULL, body text);"
                 "CREATE TABLE copies (id bigint PRIMARY KEY, v int NOT NULL, body text);"
                 f"INSERT INTO items SELECT i, 0, md5(i::text) FROM generate_series(1, {COUNT}) i;")
    worker = make(make_worker, tmp_path, "debezium-postgres", "debezium-jdbc")
    database = {"database.hostname": "127.0.0.1", "database.port": postgres.port,
                "database.user": "postgres", "database.password": "none",
                "database.dbname": "postgres"}
    create(worker, "changes", connector__class=POSTGRES, key__converter=JSON,
           value__converter=JSON, **{
               **database, "topic.prefix": "pg", "plugin.name": "pgoutput",
               "table.include.list": "public.items", "slot.retry.delay.ms": 200})
    create(worker, "copy", connector__class=JDBC, connect__topicnames="pg_public_items",
           key__converter=JSON, value__converter=JSON,
           **{"connection.url": f"jdbc:postgresql://127.0.0.1:{postgres.port}/postgres",
              "connection.username": "postgres", "connection.password": "none",
              "collection.name.format": "copies", "insert.mode": "upsert",
              "delete.enabled": "true", "primary.key.mode": "record_key",
              "schema.evolution": "none"})
    wait_until("the first rows", lambda: rows(postgres, "copies"), 240)
    for pid in java_hosts(worker):
        os.kill(pid, signal.SIGKILL)
    postgres.sql("UPDATE items SET v = v + 1, body = md5((-id)::text) WHERE id % 3 = 0;"
                 "DELETE FROM items WHERE id % 7 = 0;"
                 f"INSERT INTO items VALUES ({COUNT + 1}, 0, 'last');")
    wait_until("equal tables", lambda: rows(postgres, "copies") == rows(postgres, "items"), 240)
    copies = rows(postgres, "copies")
    assert len(copies) == COUNT - COUNT // 7 + 1 and 7 not in copies
    assert copies[3] == (1, hashlib.md5(b"-3").hexdigest())
    assert worker.stop() == 0


def test_a_name_that_a_connector_calls_required_is_the_connectors(make_worker, tmp_path):
    worker = make(make_worker, tmp_path, "connect-mirror")
    keys = {"connector.class": MIRROR, "name": "m", "source.cluster.alias": "a",
            "target.cluster.alias": "b", "topics": "t", "value.converter": JSON}
    path = f"/api/v1/connector-plugins/{MIRROR}/config/validate"
    answer = worker.request("PUT", path, keys)
    assert answer.status == 200 and answer.json["error_count"] == 0, answer
    answer = worker.request("PUT", path, {**keys, "refresh.topics.interval.seconds": "x"})
    assert answer.json["error_count"] == 1 and "refresh.topics.interval" in answer.text
    assert worker.stop() == 0
