# SPDX-License-Identifier: Apache-2.0
"""Debezium's connectors: changes of a table to RocketMQ, and records of a topic to a table."""
import hashlib
import json
import threading
import time

import cluster
import jars_kit as kit
import servers

POSTGRES = "io.debezium.connector.postgresql.PostgresConnector"
MARIADB = "io.debezium.connector.mariadb.MariaDbConnector"
JDBC = "io.debezium.connector.jdbc.JdbcSinkConnector"
FIRST = 0.4       # of the rows are there before the connector starts
HOLD = 0.5        # of the rows are there before it streams: later kills are in its stream
VERSIONS = 7      # highest version of a row
CHUNK = 0.004     # of the rows are inserted by one step of the load


class Changes:
    """What the events of table items (id, v, body) tell: which versions of a row were seen. body is
    the MD5 of `id:v`; a change makes v one more. position(source) is where in the database's log
    the `source` of an event stands. The row behind the last is the load's marker."""

    def __init__(self, count, position):
        self.count = count
        self.position = position
        self.snapshot = None            # where the stream begins, as the last snapshot has told it
        self.marker = 0                 # highest version of the marker that the stream has told
        size = count + 1
        self.seen = bytearray(size)      # a bit for each version
        self.streamed = bytearray(size)  # the same, as the stream has told it
        self.read = bytearray(size)      # 1 + the highest version that a snapshot has shown
        self.deleted = bytearray(size)
        self.distinct = self.repeated = self.damaged = self.events = self.updates = 0

    def take(self, message):
        if not message.body or message.body == b"null":
            return  # the tombstone behind a delete
        event = json.loads(message.body)
        event = event.get("payload", event)
        self.events += 1
        if event["op"] == "d":
            self.deleted[event["before"]["id"]] = 1
            return
        row, shown = event["after"], event["op"] == "r"
        number, v = row["id"], row["v"]
        if shown:
            at = self.position(event["source"])
            self.snapshot = at if self.snapshot is None else max(self.snapshot, at)
        if number > self.count:
            self.marker = max(self.marker, 0 if shown else v)
            return
        if row["body"] != hashlib.md5(b"%d:%d" % (number, v)).hexdigest():
            self.damaged += 1
        self.distinct += not self.seen[number]
        self.updates += v > 0
        self.repeated += self.seen[number] >> v & 1
        self.seen[number] |= 1 << v
        if shown:
            self.read[number] = max(self.read[number], v + 1)
        else:
            self.streamed[number] |= 1 << v

    @property
    def share(self):
        return self.distinct / self.count

    def compare(self, table, load):
        """(lost, wrong, gone), by the table as {id: v} and what the load did: the stream has to
        tell every version and every delete from where it begins, and the last version of a row
        has to be told by it or by a snapshot. A snapshot that a kill has cut off is taken again.
        Where its stream then begins is the connector's affair: MariaDB's keeps the place of the
        first one; with another, what was deleted before is in no log that it reads, and gone."""
        lost = wrong = gone = 0
        there = load.versions(self.snapshot)
        for number in range(1, self.count + 1):
            v, seen, streamed = table.get(number), self.seen[number], self.streamed[number]
            low = there[number]
            if v is None:
                v, at = load.deletes[number]
                if at < self.snapshot:
                    gone += not self.deleted[number]
                    continue
                lost += not self.deleted[number]
            else:
                wrong += self.deleted[number]
                lost += max(self.read[number], streamed.bit_length()) <= low
            want = (1 << v + 1) - (1 << low + 1)
            lost += bin(want & ~streamed).count("1")
            wrong += seen >> v + 1 != 0
        return lost, wrong, gone


class Load(threading.Thread):
    """Inserts the rest of the rows, and changes and deletes some, while the connector works; keeps
    what it has done, see Changes.compare(). Half way it waits until the connector streams, and at
    the end until the stream has come to the end: it changes its marker until that is told. A row
    that is inserted once would not do: a snapshot that is taken late shows it before the stream."""

    def __init__(self, database, changes, rng, insert):
        super().__init__(daemon=True)
        self.database, self.changes, self.rng, self.insert = database, changes, rng, insert
        self.count = changes.count
        self.first = int(self.count * FIRST)
        self.steps = []                 # (where in the log before, first and end of the inserted,
                                        # first and end of the changed)
        self.deletes = {}               # id: (version, where in the log before)
        self.touched = 0
        self.trouble = None

    def run(self):
        try:
            self._fill(int(self.count * HOLD))
            self._touch()
            self._fill(self.count)
            self._touch()
        except cluster.Trouble as trouble:
            self.trouble = trouble

    def versions(self, position):
        """The version that each row had at a place in the log, by its number; -1 before it was
        inserted."""
        there = [0] * (self.first + 1) + [-1] * (self.count - self.first)
        for at, low, end, change, until in self.steps:
            if at >= position:
                break
            there[low:end] = [0] * (end - low)
            for number in range(change, until):
                there[number] = min(there[number] + 1, VERSIONS)
        return there

    def _fill(self, last):
        step = max(1, int(self.count * CHUNK))
        low = self.steps[-1][2] if self.steps else self.first + 1
        while low <= last:
            end = min(low + step, last + 1)
            at = self.database.position()
            some = max(1, step // 8)
            change = self.rng.randrange(1, low)
            self.steps.append((at, low, end, change, min(change + some, end)))
            for number, v in self.database.sql(self._step(low, end, change, some)):
                self.deletes[int(number)] = int(v), at
            low = end
            time.sleep(0.05)

    def _step(self, low, end, change, some):
        gone = self.rng.randrange(1, low)
        return (f"BEGIN; {self.insert(low, end)}"
                # In this order: MariaDB takes what is set from left to right.
                f"UPDATE items SET body = md5(concat(id, ':', v + 1)), v = v + 1 "
                f"WHERE id >= {change} AND id < {change + some} AND id < {end} "
                f"AND v < {VERSIONS}; "
                f"DELETE FROM items WHERE id >= {gone} AND id < {gone + max(1, some // 8)} "
                f"AND id < {end} RETURNING id, v; COMMIT;")

    def _touch(self):
        """Changes the marker until a change of it from now on is told."""
        before = self.touched
        while self.changes.marker <= before:
            self.database.sql(f"UPDATE items SET v = v + 1 WHERE id = {self.count + 1};")
            self.touched += 1
            time.sleep(0.5)


def _changes(name, database, insert, rmq, topic, count, folder, rng, table, plan, plugin, config):
    first = int(count * FIRST) + 1
    database.sql("CREATE TABLE items (id bigint PRIMARY KEY, v int NOT NULL, body varchar(40));" +
                 insert(1, first) + insert(count + 1, count + 2), 900)
    changes = Changes(count, database.position_of)
    topic = rmq.create_topic(topic, queues=4)
    reader = kit.Topic(rmq, topic, changes.take)
    load = Load(database, changes, rng, insert)

    def done():
        if load.trouble:
            raise load.trouble
        reader.poll()
        if changes.distinct > count * 0.01 and not load.ident:
            load.start()  # the snapshot is under way
        return load.ident and not load.is_alive()
    with kit.Trial(rmq, folder / "trial", {plugin: kit.jars(plugin)}, rng, plan) as trial:
        trial.worker.create("changes", key__converter=kit.JSON, value__converter=kit.JSON,
                            **{"key.converter.schemas.enable": False,
                               "value.converter.schemas.enable": False, **config})
        took = trial.drive(lambda: changes.share, done)
        done()  # may have trouble to tell
        rows = {int(i): int(v) for i, v in database.sql("SELECT id, v FROM items;")}
        # Queues are written side by side: what stands before the marker may come a little later.
        deadline = time.monotonic() + 60
        while changes.compare(rows, load)[0] and time.monotonic() < deadline:
            time.sleep(1)
            reader.poll()
        trial.worker.stop()
    reader.asked = 0
    reader.poll()
    compared = changes.compare(rows, load)
    table.moved_rows(f"{name}: snapshot and stream", trial, took, changes, *compared, len(rows))


def debezium_postgres(rmq, count, folder, rng, table, plan):
    """PostgreSQL -> PostgresConnector (pgoutput) -> RocketMQ, with load during the snapshot"""
    folder.mkdir()

    def insert(low, high):
        return (f"INSERT INTO items SELECT i, 0, md5(concat(i, ':', 0)) "
                f"FROM generate_series({low}, {high - 1}) i; ")
    with servers.Postgres(folder / "postgres") as database:
        _changes("debezium-connector-postgres 3.2.0", database, insert, rmq, "pg_public_items",
                 count, folder, rng, table, plan, "debezium-postgres", {
                     "connector.class": POSTGRES, "database.hostname": "127.0.0.1",
                     "database.port": database.port, "database.user": "postgres",
                     "database.password": "none", "database.dbname": "postgres",
                     "topic.prefix": "pg", "plugin.name": "pgoutput",
                     "table.include.list": "public.items", "slot.retry.delay.ms": 1000})


def debezium_mariadb(rmq, count, folder, rng, table, plan):
    """MariaDB -> MariaDbConnector (binlog) -> RocketMQ, with load during the snapshot"""
    folder.mkdir()

    def insert(low, high):
        return (f"INSERT INTO items SELECT seq, 0, md5(concat(seq, ':', 0)) "
                f"FROM seq_{low}_to_{high - 1}; ")
    with servers.MariaDb(folder / "mariadb") as database:
        client = database._client
        database._client = lambda: client() + ["shop"]
        _changes("debezium-connector-mariadb 3.2.0", database, insert, rmq, "maria_shop_items",
                 count, folder, rng, table, plan, "debezium-mariadb", {
                     "connector.class": MARIADB, "database.hostname": "127.0.0.1",
                     "database.port": database.port, "database.user": "dbz",
                     "database.password": "dbz", "database.server.id": 5001,
                     "database.ssl.mode": "disable", "topic.prefix": "maria",
                     "database.include.list": "shop", "table.include.list": "shop.items",
                     "schema.history.internal":
                         "io.debezium.storage.file.history.FileSchemaHistory",
                     "schema.history.internal.file.filename": folder / "history.dat"})


def debezium_jdbc(rmq, count, folder, rng, table, plan):
    """own source with structs -> RocketMQ (JSON with schemas) -> JdbcSinkConnector -> PostgreSQL"""
    folder.mkdir()
    _, example = kit.build_hosts()
    jar = next(example.glob("example-connectors-*.jar"))
    topic = rmq.create_topic("points", queues=4)
    with servers.Postgres(folder / "postgres") as database:
        state = {"rows": 0, "asked": 0.0}
        url = f"jdbc:postgresql://127.0.0.1:{database.port}/postgres"

        def done():
            if time.monotonic() - state["asked"] > 1:
                state["asked"] = time.monotonic()
                if database.sql("SELECT to_regclass('points') IS NOT NULL;") == [("t",)]:
                    state["rows"] = int(database.sql("SELECT count(*) FROM points;")[0][0])
            return state["rows"] >= count
        with kit.Trial(rmq, folder / "trial", {"debezium-jdbc": kit.jars("debezium-jdbc"),
                                               jar.name: jar}, rng, plan) as trial:
            trial.worker.create("in", connector__class="com.example.connectors.TickSource",
                                connect__topicname=topic, count=count, struct="true",
                                value__converter=kit.JSON)
            trial.worker.create("out", connector__class=JDBC, connect__topicnames=topic,
                                value__converter=kit.JSON, **{
                                    "connection.url": url, "connection.username": "postgres",
                                    "connection.password": "none",
                                    "insert.mode": "upsert", "primary.key.mode": "record_value",
                                    "primary.key.fields": "n", "schema.evolution": "basic",
                                    "collection.name.format": "points", "batch.size": 500,
                                    "kafka.transforms": "drop", "kafka.transforms.drop.type":
                                        "org.apache.kafka.connect.transforms.ReplaceField$Value",
                                    "kafka.transforms.drop.exclude": "tags"})
            took = trial.drive(lambda: state["rows"] / count, done)
        numbers = kit.Numbers(count, lambda n: f"{n + 1}.50")
        for n, price in database.sql("SELECT n, price FROM points;"):
            numbers.take(int(n) - 1, price)
        table.moved("debezium-connector-jdbc 3.2.0 sink", trial, took, numbers, repeats=False)
