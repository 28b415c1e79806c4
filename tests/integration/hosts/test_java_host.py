# SPDX-License-Identifier: Apache-2.0
"""The Java host, driven over its socket by the document alone (tests/hosts/hostdriver.py): plugins
of OpenMessaging Connect as a user would write them (tests/hosts/java), and Kafka's own."""
import os
import shutil
import sys
import time

import pytest
from conftest import ROOT, wait_until

sys.path.insert(0, str(ROOT / "tests/hosts"))
import hostdriver as hd  # noqa: E402

HOSTS = ROOT / "build/hosts"
JAR = HOSTS / "java/rc-host.jar"
EXAMPLE = HOSTS / "example/example-connectors-1.2.3.jar"
KAFKA_FILE = HOSTS / "example/kafka/connect-file-3.9.1.jar"
TICK, LINE = "com.example.connectors.TickSource", "com.example.connectors.LineSink"
UPPER, REVERSE = "com.example.connectors.UpperTransform", "com.example.connectors.ReverseConverter"
FILE_SOURCE = "org.apache.kafka.connect.file.FileStreamSourceConnector"
FILE_SINK = "org.apache.kafka.connect.file.FileStreamSinkConnector"
JAVA = ["java", "-XX:+UseSerialGC", "-Xmx96m", "-XX:+ExitOnOutOfMemoryError", "-XX:-UsePerfData",
        "-XX:TieredStopAtLevel=1", "-jar", str(JAR)]

pytestmark = pytest.mark.skipif(not (JAR.exists() and EXAMPLE.exists() and shutil.which("java")),
                                reason="not built: targets java_host and java_examples")


@pytest.fixture(scope="module")
def shared():
    """One host for the tests that do not hurt it."""
    host = hd.Host(JAVA)
    host.numbers = iter(range(1, 65536))
    yield host
    host.close()


@pytest.fixture
def alone():
    host = hd.Host(JAVA)
    host.numbers = iter(range(1, 65536))
    yield host
    host.close()


def task(host, class_name, config, location=EXAMPLE, which=hd.SOURCE, connector=0, **more):
    number = next(host.numbers)
    host.start(hd.TASK_START, which, class_name, str(location), config, number, connector=connector,
               task="c-0", **more)
    return number


def component(host, which, class_name, config, location=EXAMPLE, **more):
    number = next(host.numbers)
    host.start(hd.COMPONENT_START, which, class_name, str(location), config, number, **more)
    return number


def answer_offset(host, number, offset=None):
    r = host.next(hd.OFFSET_READ, number)
    partitions = [r.map() for _ in range(r.num("I"))]
    found = hd.num("?", True) + hd.num("I", 1) + hd.value(offset[0]) + b"\x0e" + \
        hd.text(offset[1]) if offset else hd.num("?", False)
    host.send(hd.OFFSET_READ, hd.num("I", 1) + found, number, r.frame.request, hd.REPLY)
    return partitions


def ticking(host, offset=None, **config):
    """A started TickSource task; it reads an offset before its start is over."""
    number = next(host.numbers)
    request = host.ask(hd.TASK_START, hd.num("B", hd.SOURCE) + hd.text(TICK) +
                       hd.text(str(EXAMPLE)) + hd.text("c") + hd.kv(config) + hd.num("H", 0) +
                       hd.text("c-0") + hd.num("I", 0) + hd.num("I", 1) + hd.num("?", False) +
                       hd.num("I", 1000) + hd.num("I", 1 << 20) + hd.num("I", 1), number)
    assert answer_offset(host, number, offset) == [{"task": "0"}]
    host.answer(request)
    return number


def instance_error(host, number):
    r = host.next(hd.ERROR, number)
    assert r.num("B") == 1
    return r.error()


# ---- plugins ----

def test_hello_tells_who_it_is(shared):
    assert shared.hello["name"] == "java-host" and shared.hello["language"].startswith("Java ")
    assert shared.hello["pid"] == shared.process.pid
    assert shared.hello["capabilities"] == 0x7f
    assert 64 << 10 <= shared.hello["max_frame"] <= 64 << 20


def scan(host, *paths):
    r = host.call(hd.SCAN, hd.num("I", len(paths)) + b"".join(hd.text(str(p)) for p in paths))
    plugins = {p["class"]: p for p in (r.plugin() for _ in range(r.num("I")))}
    return plugins, {r.text(): r.error() for _ in range(r.num("I"))}


def test_scan_finds_all_kinds_of_plugins(shared, tmp_path):
    folder = tmp_path / "plugins" / "kafka-file"
    folder.mkdir(parents=True)
    shutil.copy(KAFKA_FILE, folder)
    (tmp_path / "plugins" / "broken.jar").write_bytes(b"no zip")
    plugins, refused = scan(shared, EXAMPLE, folder, tmp_path / "plugins" / "broken.jar",
                            tmp_path / "none")
    assert {c: p["kind"] for c, p in plugins.items()} == {
        TICK: hd.SOURCE, LINE: hd.SINK, UPPER: hd.TRANSFORM, REVERSE: hd.CONVERTER,
        FILE_SOURCE: hd.SOURCE, FILE_SINK: hd.SINK}
    assert plugins[TICK]["location"] == str(EXAMPLE) and plugins[TICK]["version"] == "1.2.3"
    assert plugins[FILE_SINK]["location"] == str(folder)
    assert plugins[FILE_SINK]["version"] == "3.9.1"
    options = plugins[FILE_SOURCE]["options"]
    assert set(options) == {"file", "topic", "batch.size"}
    assert options["topic"]["flags"] == 1 and options["topic"]["default"] is None
    assert options["batch.size"]["type"] == 3 and options["batch.size"]["default"] == "2000"
    assert plugins[FILE_SOURCE]["flags"] == 8, "it replays files only, which its class cannot tell"
    assert set(refused) == {str(tmp_path / "plugins" / "broken.jar"), str(tmp_path / "none")}
    # What the host brings along itself.
    own, _ = scan(shared, "")
    assert own["org.apache.kafka.connect.json.JsonConverter"]["kind"] == hd.CONVERTER
    assert own["org.apache.kafka.connect.transforms.InsertField$Value"]["kind"] == hd.TRANSFORM


def problems(host, kind, class_name, location, config):
    r = host.call(hd.VALIDATE, hd.num("B", kind) + hd.text(class_name) + hd.text(str(location)) +
                  hd.kv(config))
    return [(r.num("?"), r.text(), r.text(), r.text()) for _ in range(r.num("I"))]


def test_validate_lists_problems(shared):
    assert problems(shared, hd.SOURCE, TICK, EXAMPLE, {"count": 3}) == []
    assert "count has to be" in problems(shared, hd.SOURCE, TICK, EXAMPLE, {"count": -1})[0][3]
    found = problems(shared, hd.SOURCE, FILE_SOURCE, KAFKA_FILE, {"batch.size": "many"})
    assert {p[1] for p in found} == {"topic", "batch.size"}
    found = problems(shared, hd.SOURCE, FILE_SOURCE, KAFKA_FILE,
                     {"topic": "t", "kafka.transforms": "x", "kafka.transforms.x.type": "no.Such"})
    assert "kafka.transforms.x.type" in found[0][3]


# ---- OpenMessaging ----

def test_connector_gives_task_configurations(shared):
    number = next(shared.numbers)
    shared.start(hd.CONNECTOR_START, hd.SOURCE, TICK, str(EXAMPLE), {"count": 5}, number)
    r = shared.call(hd.TASK_CONFIGS, hd.num("I", 2), number)
    assert [r.kv()["task.number"] for _ in range(r.num("I"))] == ["0", "1"]
    shared.stop(number)
    with pytest.raises(hd.Failed):
        shared.call(hd.TASK_CONFIGS, hd.num("I", 2), number)
    with pytest.raises(hd.Failed) as e:
        shared.start(hd.CONNECTOR_START, hd.SOURCE, TICK, str(EXAMPLE), {"count": -5},
                     next(shared.numbers))
    assert "count has to be" in str(e.value) and e.value.error["stack"]


def test_source_keeps_to_its_credit_and_hears_of_receipts(shared):
    number = ticking(shared, count=1200, receipts=1)
    shared.credit(number, 500, 1 << 20)
    r = shared.next(hd.BATCH, number)
    first, records = r.num("Q"), r.records()
    assert first == 1 and len(records) == 500
    assert records[0] == {"timestamp": 1001, "schema": records[0]["schema"], "value": "tick 1",
                          "partition": {"task": "0"}, "offset": {"n": 1}, "counter": ("n", 1),
                          "extensions": {"color": "blue"}}
    with pytest.raises(Exception):
        shared.next(hd.BATCH, number, 0.3)
    shared.credit(number, 500, len(r.raw))
    assert [r["value"] for r in shared.batch(number)[1]] == [f"tick {n}" for n in range(501, 1001)]
    shared.ack(number, 1, 500, offset=40)
    shared.send(hd.COMMIT, b"", number)
    wait_until("receipts", lambda: "receipt {n=500} 539" in shared.said and
               "committed" in shared.said)
    assert "receipt {n=1} 40" in shared.said
    shared.ack(number, 501, 1, status=2)
    wait_until("a receipt of nothing", lambda: "receipt {n=501} none" in shared.said)
    shared.stop(number)
    assert "tick stopped" in shared.said


def test_frames_that_come_during_the_start_are_kept(shared):
    number = next(shared.numbers)
    request = shared.ask(hd.TASK_START, hd.num("B", hd.SOURCE) + hd.text(TICK) +
                         hd.text(str(EXAMPLE)) + hd.text("c") + hd.kv({"count": 3}) +
                         hd.num("H", 0) + hd.text("c-0") + hd.num("I", 0) + hd.num("I", 1) +
                         hd.num("?", False) + hd.num("I", 30) + hd.num("I", 600) + hd.num("I", 1),
                         number)
    shared.credit(number)
    answer_offset(shared, number)
    shared.answer(request)
    assert len(shared.batch(number)[1]) == 3
    shared.stop(number)


def test_source_continues_from_its_offset(shared):
    number = ticking(shared, offset=("n", "41"), count=43)
    shared.credit(number)
    assert [r["value"] for r in shared.batch(number)[1]] == ["tick 42", "tick 43"]
    shared.stop(number)


def test_batches_are_cut_to_the_limits(shared):
    number = next(shared.numbers)
    request = shared.ask(hd.TASK_START, hd.num("B", hd.SOURCE) + hd.text(TICK) +
                         hd.text(str(EXAMPLE)) + hd.text("c") + hd.kv({"count": 100}) +
                         hd.num("H", 0) + hd.text("c-0") + hd.num("I", 0) + hd.num("I", 1) +
                         hd.num("?", False) + hd.num("I", 30) + hd.num("I", 600) + hd.num("I", 1),
                         number)
    answer_offset(shared, number)
    shared.answer(request)
    shared.credit(number, 10000, 1 << 20)
    values, seq = [], 1
    while len(values) < 100:
        r = shared.next(hd.BATCH, number)
        first, records = r.num("Q"), r.records()
        assert first == seq and (len(records) == 1 or len(r.raw) <= 600) and len(records) <= 30
        seq += len(records)
        values += [r["value"] for r in records]
    assert values == [f"tick {n}" for n in range(1, 101)]
    shared.stop(number)


def test_a_record_that_is_reported_too_late_is_not_committed(shared, tmp_path):
    number = task(shared, LINE, {"file": tmp_path / "out.txt"}, which=hd.SINK)
    shared.call(hd.OPEN, hd.queue_offsets(("t", "", 0, 0)), number)
    shared.call(hd.PUT, hd.put(1, [("t", 0, 0, "a"), ("t", 0, 1, "late")]), number)
    for _ in range(2):  # also the next one: the record is still not handled
        with pytest.raises(hd.Failed) as e:
            shared.call(hd.PRECOMMIT, hd.queue_offsets(("t", "", 0, 2)), number)
        assert e.value.error["code"] == 13 and "(too ugly)" in str(e.value)
    shared.stop(number)


def test_structs_and_logical_types(shared):
    number = ticking(shared, count=2, struct="true")
    shared.credit(number)
    records = shared.batch(number)[1]
    assert records[1]["value"] == {"n": 2, "price": (250).to_bytes(2, "big"), "tags": ["t2"]}
    schemas = shared.schemas[number]
    price = schemas[dict(records[0]["schema"]["fields"])["price"]]
    assert records[0]["schema"]["name"] == "point" and records[0]["schema"] is records[1]["schema"]
    assert price["name"].endswith(".logical.Decimal") and price["parameters"] == {"scale": "2"}
    shared.stop(number)


def test_sink_writes_reports_retries_and_commits(shared, tmp_path):
    out = tmp_path / "out.txt"
    number = task(shared, LINE, {"file": out}, which=hd.SINK)
    shared.call(hd.OPEN, hd.queue_offsets(("t", "", 0, 0), ("t", "", 1, 7)), number)
    shared.call(hd.PUT, hd.put(1, [("t", 0, 0, "a"), ("t", 1, 7, "b"), ("t", 0, 1, "c")]), number)
    with pytest.raises(hd.Failed) as e:
        shared.call(hd.PUT, hd.put(2, [("t", 0, 2, "again")]), number)
    assert e.value.error["flags"] & 1
    with pytest.raises(hd.Failed) as e:
        shared.call(hd.PUT, hd.put(3, [("t", 0, 3, "x")]), number)
    assert e.value.error["code"] == 10 and e.value.error["flags"] & 1
    shared.call(hd.PUT, hd.put(2, [("t", 0, 2, "again")]), number)
    # A record that the target refuses: the worker says what becomes of the put.
    request = shared.ask(hd.PUT, hd.put(3, [("t", 0, 3, "d"), ("t", 0, 4, "reject")]), number)
    r = shared.next(hd.REPORT, number)
    assert (r.num("Q"), r.num("I")) == (3, 1) and r.error()["message"] == "ugly"
    shared.send(hd.REPORT, b"", number, r.frame.request, hd.REPLY)
    shared.answer(request)
    request = shared.ask(hd.PUT, hd.put(4, [("t", 0, 5, "reject")]), number)
    r = shared.next(hd.REPORT, number)
    shared.send(hd.ERROR, hd.num("B", 0) + hd.num("H", 9) + hd.num("H", 0) + hd.num("q", -1) +
                hd.text("") + hd.text("errors.tolerance is none") + hd.text(""), number,
                r.frame.request, hd.REPLY)
    with pytest.raises(hd.Failed) as e:
        shared.answer(request)
    assert "errors.tolerance is none" in str(e.value)
    r = shared.call(hd.PRECOMMIT, hd.queue_offsets(("t", "", 0, 5), ("t", "", 1, 8)), number)
    assert sorted(r.queue_offsets()) == [(("t", "", 0), 5, None), (("t", "", 1), 8, None)]
    assert out.read_text().splitlines() == ["t/0/0 a", "t/1/7 b", "t/0/1 c", "t/0/2 again",
                                            "t/0/3 d"]
    shared.stop(number)


def test_sink_may_rewind_and_pause(shared, tmp_path):
    number = task(shared, LINE, {"file": tmp_path / "out.txt"}, which=hd.SINK)
    shared.call(hd.OPEN, hd.queue_offsets(("t", "b-0", 2, 9)), number)
    shared.call(hd.PUT, hd.put(1, [("t", 2, 9, "rewind", "b-0"), ("t", 2, 10, "hold", "b-0")]),
                number)
    assert shared.next(hd.RESET_OFFSET, number).queue_offsets() == [(("t", "b-0", 2), 3, None)]
    r = shared.next(hd.PAUSE, number)
    assert r.num("I") == 1 and r.queue() == ("t", "b-0", 2)
    shared.stop(number)


def test_transform_and_converter(shared):
    number = component(shared, hd.TRANSFORM, UPPER, {"end": "!"})
    record = hd.num("H", 0x10 | 0x200 | 0x800) + hd.value("loud") + hd.kv({"p": "1"}) + hd.num("i", 3)
    others = [hd.num("H", 0x10) + hd.value(v) for v in ("drop", "fail")]
    r = shared.call(hd.APPLY, hd.num("I", 3) + record + others[0] + others[1], number)
    assert r.num("I") == 3 and r.num("B") == 0
    got = r.record([], [])
    assert (got["value"], got["extensions"], got["properties"], got["queue"]) == (
        "LOUD!", {"transformed": "yes"}, {"p": "1"}, 3)
    assert r.num("B") == 1 and r.num("B") == 2
    error = r.error()
    assert error["index"] == 2 and error["message"] == "cannot be in capitals"
    shared.stop(number)
    number = component(shared, hd.CONVERTER, REVERSE, {"mark": ">"})
    r = shared.call(hd.TO_BYTES, hd.num("I", 2) + (hd.text("t") + hd.kv({}) + hd.num("I", 0)) +
                    hd.value("abc") + hd.text("t") + hd.kv({}) + hd.num("I", 0) + hd.value(None),
                    number)
    assert r.num("I") == 2 and r.num("B") == 0 and r.bytes() == b">cba"
    assert r.num("B") == 0 and r.bytes() is None
    r = shared.call(hd.TO_VALUES, hd.num("I", 2) + hd.text("t") + hd.kv({}) + hd.text(">cba") +
                    hd.text("t") + hd.kv({}) + hd.text(""), number)
    assert r.num("I") == 2 and r.num("B") == 0
    assert shared.schemas[number][r.num("I")]["type"] == 8 and r.value() == "abc"
    assert r.num("B") == 2, "one that is too short for its mark fails alone"
    shared.stop(number)


# ---- Kafka Connect ----

def test_kafka_file_source_and_sink(shared, tmp_path):
    source, out = tmp_path / "in.txt", tmp_path / "out.txt"
    source.write_text("".join(f"line {n}\n" for n in range(3)))
    connector = next(shared.numbers)
    config = {"file": source, "topic": "a.b", "batch.size": 10,
              "kafka.transforms": "h", "kafka.transforms.h.static.field": "by",
              "kafka.transforms.h.type": "org.apache.kafka.connect.transforms.InsertHeader",
              "kafka.transforms.h.header": "by", "kafka.transforms.h.value.literal": "us"}
    shared.start(hd.CONNECTOR_START, hd.SOURCE, FILE_SOURCE, str(KAFKA_FILE), config, connector)
    r = shared.call(hd.TASK_CONFIGS, hd.num("I", 3), connector)
    assert r.num("I") == 1 and r.kv()["topic"] == "a.b"
    number = next(shared.numbers)
    request = shared.ask(hd.TASK_START, hd.num("B", hd.SOURCE) + hd.text(FILE_SOURCE) +
                         hd.text(str(KAFKA_FILE)) + hd.text("c") + hd.kv(config) +
                         hd.num("H", connector) + hd.text("c-0") + hd.num("I", 0) + hd.num("I", 1) +
                         hd.num("?", False) + hd.num("I", 1000) + hd.num("I", 1 << 20) +
                         hd.num("I", 1), number)
    shared.answer(request)
    shared.credit(number)
    assert answer_offset(shared, number, ("position", "7")) == [{"filename": str(source)}]
    records = shared.batch(number)[1]
    assert [r["value"] for r in records] == ["line 1", "line 2"]
    assert records[0]["offset"] == {"position": 14} and records[0]["topic"] == "a_b"
    assert records[0]["extensions"] == {"by": "us"}
    shared.ack(number, 1, 2)
    shared.send(hd.COMMIT, b"", number)
    started = time.monotonic()
    shared.stop(number)
    assert time.monotonic() - started < 5, "an idle poll is woken up"
    shared.stop(connector)

    number = task(shared, FILE_SINK, {"file": out, "connect.topicnames": "t"}, which=hd.SINK,
                  location=KAFKA_FILE)
    shared.call(hd.OPEN, hd.queue_offsets(("t", "", 0, -1), ("t", "broker-a", 0, 4)), number)
    shared.call(hd.PUT, hd.put(1, [("t", 0, 0, "x"), ("t", 0, 4, "y", "broker-a")]), number)
    r = shared.call(hd.PRECOMMIT, hd.queue_offsets(("t", "", 0, 1), ("t", "broker-a", 0, 5)), number)
    assert sorted(r.queue_offsets()) == [(("t", "", 0), 1, None), (("t", "broker-a", 0), 5, None)]
    assert out.read_text() == "x\ny\n"
    shared.call(hd.CLOSE, hd.num("I", 1) + hd.text("t") + hd.text("") + hd.num("i", 0), number)
    shared.stop(number)


def test_kafka_components_of_the_host_itself(shared):
    number = component(shared, hd.CONVERTER, "org.apache.kafka.connect.json.JsonConverter",
                       {"schemas.enable": "false"}, location="")
    r = shared.call(hd.TO_BYTES, hd.num("I", 1) + hd.text("t") + hd.kv({}) + hd.num("I", 0) +
                    hd.value({"a": [1, 2.5, None]}), number)
    assert r.num("I") == 1 and r.num("B") == 0 and r.bytes() == b'{"a":[1,2.5,null]}'
    shared.stop(number)
    number = component(shared, hd.PREDICATE, "org.apache.kafka.connect.transforms.predicates."
                       "HasHeaderKey", {"name": "yes"}, location="")
    r = shared.call(hd.APPLY, hd.num("I", 2) + hd.num("H", 0x100) + hd.kv({"yes": "1"}) +
                    hd.num("H", 0x100) + hd.kv({"no": "1"}), number)
    assert r.num("I") == 2 and (r.num("B"), r.num("B")) == (1, 0)
    shared.stop(number)


# ---- what goes wrong ----

def test_a_failing_poll_is_told_with_its_causes(shared):
    number = ticking(shared, count=5, fault="poll-throw")
    shared.credit(number)
    error = instance_error(shared, number)
    assert error["class"].endswith(".ConnectException") and error["flags"] == 0
    assert "the tick is broken" in error["message"] and "no clock" in error["message"]
    assert "TickTask.poll" in error["stack"]
    shared.stop(number)


def test_a_retriable_poll_waits_for_credit(shared):
    number = ticking(shared, count=5, fault="poll-retry")
    shared.credit(number)
    assert instance_error(shared, number)["flags"] == 1
    with pytest.raises(Exception):
        shared.next(hd.BATCH, number, 0.3)
    shared.credit(number, 0, 0)
    assert len(shared.batch(number)[1]) == 5
    shared.stop(number)


def test_a_missing_class_of_a_plugin_fails_its_task_only(shared):
    number = ticking(shared, count=5, fault="poll-error")
    shared.credit(number)
    assert "com/example/Missing" in instance_error(shared, number)["message"]
    shared.stop(number)
    other = ticking(shared, count=1)
    shared.credit(other)
    assert len(shared.batch(other)[1]) == 1
    shared.stop(other)


def test_a_poll_that_never_ends_is_seen_and_ended_by_stop(shared):
    number = ticking(shared, count=5, fault="poll-block")
    shared.credit(number)
    wait_until("the call to show", lambda: [c for c in shared.ping()[1] if c[0] == number and
                                            c[2] == "poll" and c[1] >= 50])
    shared.stop(number)  # its stop() makes poll return
    assert [c for c in shared.ping()[1] if c[0] == number] == []


def test_a_deadlock_blocks_neither_ping_nor_neighbours(alone):
    stuck = ticking(alone, count=5, fault="poll-deadlock")
    alone.credit(stuck)
    other = ticking(alone, count=700)
    alone.credit(other)
    assert sum(len(alone.batch(other)[1]) for _ in range(2)) == 700
    wait_until("the call to show", lambda: [c for c in alone.ping()[1] if c[0] == stuck])
    with pytest.raises(TimeoutError):
        alone.answer(alone.ask(hd.STOP, hd.num("I", 800), stuck), 1.5)
    assert alone.ping()[0][1] > 0
    alone.stop(other)


@pytest.mark.parametrize("fault,status", [("poll-exit", 7), ("start-exit", 7), ("poll-heap", 3)])
def test_what_ends_the_process_is_seen_by_its_status(alone, fault, status):
    try:
        number = ticking(alone, count=5, fault=fault)
        alone.credit(number)
    except EOFError:
        pass
    assert alone.wait() == status


def test_the_host_ends_with_its_worker(alone):
    number = ticking(alone, count=5, fault="poll-block")
    alone.credit(number)
    alone.ping()
    alone.sock.shutdown(2)
    assert alone.wait(10) == 0


def test_shutdown_ends_it_in_order(alone):
    alone.call(hd.SHUTDOWN, hd.num("I", 5000))
    assert alone.wait(10) == 0


def test_versions_of_libraries_do_not_meet(alone, tmp_path):
    """Two copies of a connector have statics and classes of their own."""
    places = []
    for name in ("one", "two"):
        place = tmp_path / name
        place.mkdir()
        shutil.copy(EXAMPLE, place)
        places.append(place)
    for place in places:
        number = next(alone.numbers)
        alone.start(hd.CONNECTOR_START, hd.SOURCE, TICK, str(place), {"count": 1}, number)
        alone.stop(number)
    with pytest.raises(hd.Failed) as e:
        alone.start(hd.CONNECTOR_START, hd.SOURCE, TICK, str(tmp_path / "three"), {},
                    next(alone.numbers))
    assert str(tmp_path / "three") in str(e.value)
    assert os.path.exists(f"/proc/{alone.process.pid}")
