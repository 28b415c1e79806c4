# SPDX-License-Identifier: Apache-2.0
"""Records that cannot be processed: tolerance, retries, dead letters, as users see them."""
import base64
import json
import re
import subprocess

import pytest
from conftest import BUILD, FILE_SINK, FILE_SOURCE, wait_until

JSON = "org.apache.rocketmq.connect.runtime.converter.record.json.JsonConverter"
STRING = "org.apache.rocketmq.connect.runtime.converter.record.StringConverter"
TROUBLE = BUILD / "tests/plugins/trouble.so"
SHOW = BUILD / "tests/plugins/show.so"
FLAKY = BUILD / "tests/plugins/flaky.so"
LOG_DUMP = BUILD / "tests/tools/log_dump"

# Numbers alone: values that the file sink can write as text. Lines 3 and 6 are no JSON.
LINES = ["1", "22", "{broken json", "4", "5", "][", "7"]
GOOD = ["1", "22", "4", "5", "7"]
BAD = ["{broken json", "]["]

ALL = {"errors__tolerance": "all"}
# One queue: letters stay in order.
LETTERS = {"errors__deadletterqueue__topic__name": "letters",
           "errors__deadletterqueue__write__queue__nums": "1"}
CONTEXT = {"errors__deadletterqueue__context__properties__enable": "true"}


@pytest.fixture
def errors(make_worker):
    return make_worker(pluginPaths=f"{TROUBLE},{SHOW},{FLAKY}", offsetCommitIntervalMsConfig="50ms",
                       **{"task.restart.delay": "20ms", "task.restart.delay.max": "50ms"}).start()


def write_lines(worker, lines, name="in.txt"):
    with open(worker.folder / name, "a", encoding="utf-8") as file:
        file.write("".join(line + "\n" for line in lines))


def read_lines(worker, name="out.txt"):
    path = worker.folder / name
    return path.read_text("utf-8").splitlines() if path.exists() else []


def source(worker, topic="t", name="source", **keys):
    answer = worker.create(name, connector__class=FILE_SOURCE,
                           filename=str(worker.folder / "in.txt"), connect__topicname=topic,
                           value__converter=STRING, **keys)
    assert answer.status == 200, answer


def sink(worker, topic="t", name="sink", out="out.txt", **keys):
    """A file sink that reads JSON without schemas, or what value__converter says."""
    if "value__converter" not in keys:
        keys.update(value__converter=JSON, value__converter__schemas__enable="false")
    answer = worker.create(name, connector__class=FILE_SINK, filename=str(worker.folder / out),
                           connect__topicnames=topic, **keys)
    assert answer.status == 200, answer


def metric(worker, name, connector):
    found = re.search(rf'^rocketmq_connect_task_{name}{{connector="{connector}",task="0".*}} (\d+)$',
                      worker.get("/metrics").text, re.MULTILINE)
    return int(found.group(1)) if found else -1


def wait_failed(worker, name):
    wait_until(f"{name} to be FAILED", lambda: worker.states(name)[1] == ["FAILED"])
    return worker.status(name)["tasks"][0]["trace"]


def wait_lines(worker, lines, name="out.txt"):
    wait_until(f"{len(lines)} lines in {name}",
               lambda: len(read_lines(worker, name)) >= len(lines))
    assert read_lines(worker, name) == lines


def committed(worker, name="sink"):
    offsets = worker.get(f"/api/v1/connectors/{name}/offsets").json["offsets"]
    return sum(int(o["offset"]["queueOffset"]) for o in offsets)


def messages(worker, topic):
    """All messages of a topic. Stops the worker: a log belongs to one process."""
    assert worker.stop() == 0
    result = subprocess.run([LOG_DUMP, worker.folder / "store/log", topic], check=True,
                            capture_output=True, text=True)
    found = [json.loads(line) for line in result.stdout.splitlines()]
    for message in found:
        message["body"] = None if message["body"] is None else \
            base64.b64decode(message["body"]).decode()
    return found


# ---- sink: converter ------------------------------------------------------------------------


def test_without_tolerance_a_bad_message_fails_the_sink_at_once(errors):
    write_lines(errors, LINES)
    source(errors)
    sink(errors)
    trace = wait_failed(errors, "sink")
    # What came before is delivered; the trace has place, cause and cure.
    assert read_lines(errors) == GOOD[:2]
    for part in ("offset 2", "topic 't'", "queue 0", "line 1, column 2", "errors.tolerance=all",
                 "errors.deadletterqueue.topic.name"):
        assert part in trace, trace
    assert errors.states("sink")[0] == "RUNNING"
    assert metric(errors, "restarts_total", "sink") == 0
    assert metric(errors, "records_skipped_total", "sink") == 0
    assert errors.said.count("FAILED") == 1 and "connector restart sink" in errors.said


def test_the_cure_of_the_trace_works(errors):
    write_lines(errors, LINES)
    source(errors)
    sink(errors)
    wait_failed(errors, "sink")
    config = errors.get("/api/v1/connectors/sink/config").json
    answer = errors.request("PUT", "/api/v1/connectors/sink/config",
                            {**config.get("config", config), "errors.tolerance": "all"})
    assert answer.status == 200, answer
    wait_lines(errors, GOOD)  # and what was there is not there twice


def test_with_tolerance_bad_messages_are_skipped_and_counted(errors):
    write_lines(errors, LINES)
    source(errors)
    sink(errors, **ALL)
    wait_lines(errors, GOOD)
    assert metric(errors, "records_skipped_total", "sink") == 2
    assert metric(errors, "errors_total", "sink") == 2
    assert metric(errors, "records_put_total", "sink") == 5
    assert metric(errors, "dead_letters_total", "sink") == 0
    assert "skipped a record" not in errors.said  # errors.log.enable=false
    wait_until("the commit behind the last bad one", lambda: committed(errors) == len(LINES))


def test_a_restart_does_not_repeat_what_was_skipped(errors):
    write_lines(errors, LINES)
    source(errors)
    sink(errors, **ALL, **LETTERS)
    wait_lines(errors, GOOD)
    wait_until("the commit", lambda: committed(errors) == len(LINES))
    errors.restart()
    write_lines(errors, ["8", "{", "9"])
    wait_lines(errors, GOOD + ["8", "9"])
    assert metric(errors, "records_skipped_total", "sink") == 1  # of this run
    assert [m["body"] for m in messages(errors, "letters")] == BAD + ["{"]


def test_a_kill_repeats_no_line(errors):
    for round_ in range(4):
        write_lines(errors, LINES)
        if round_ == 0:
            source(errors)
            sink(errors, **ALL, **LETTERS)
        wait_until("some lines", lambda: read_lines(errors))
        errors.kill()
        errors.start()
    wait_lines(errors, GOOD * 4)
    # Letters are at least once: durable before the offset is committed.
    wait_until("the commit", lambda: committed(errors) == 4 * len(LINES))
    bodies = [m["body"] for m in messages(errors, "letters")]
    assert len(bodies) >= 8 and set(bodies) == set(BAD)


def test_only_bad_messages(errors):
    write_lines(errors, ["{"] * 100)
    source(errors)
    sink(errors, **ALL)
    wait_until("the commit", lambda: committed(errors) == 100)
    assert read_lines(errors) == []
    assert metric(errors, "records_skipped_total", "sink") == 100


# ---- sink: dead letters -------------------------------------------------------------------------


def test_dead_letters_have_the_body_and_say_why(errors):
    write_lines(errors, LINES)
    source(errors)
    sink(errors, **ALL, **LETTERS, **CONTEXT)
    wait_lines(errors, GOOD)
    # Another connector can read them.
    sink(errors, "letters", "letters", "letters.txt", value__converter=STRING)
    wait_until("two letters", lambda: len(read_lines(errors, "letters.txt")) == 2)
    assert sorted(read_lines(errors, "letters.txt")) == sorted(BAD)
    assert metric(errors, "dead_letters_total", "sink") == 2
    found = messages(errors, "letters")
    assert [m["body"] for m in found] == BAD
    properties = found[1]["properties"]
    message = properties.pop("__connect.errors.exception.message")
    assert "read JSON" in message
    assert properties == {
        "__connect.errors.topic": "t", "__connect.errors.partition": "0",
        "__connect.errors.offset": "5", "__connect.errors.connector.name": "sink",
        "__connect.errors.task.id": "0", "__connect.errors.stage": "VALUE_CONVERTER",
        "__connect.errors.class.name": JSON,
        "__connect.errors.exception.class.name": "BAD_FORMAT"}


def test_dead_letters_keep_key_and_properties_of_the_message(errors):
    """trouble-source writes keys; the letters have no context unless asked for."""
    assert errors.create("source", connector__class="trouble-source", connect__topicname="t",
                         count="3", key="true").status == 200
    sink(errors, **ALL, **LETTERS)
    wait_until("three letters", lambda: metric(errors, "dead_letters_total", "sink") == 3)
    found = messages(errors, "letters")
    assert [(m["queue"], m["keys"], m["body"], m["properties"]) for m in found] == \
        [(0, f"k{n}", f"trouble-{n}", {}) for n in range(3)]


def test_error_log_lines_say_which_record(errors):
    write_lines(errors, LINES)
    source(errors)
    sink(errors, **ALL, errors__log__enable="true")
    sink(errors, name="verbose", out="verbose.txt", **ALL, errors__log__enable="true",
         errors__log__include__messages="true")
    wait_lines(errors, GOOD)
    wait_lines(errors, GOOD, "verbose.txt")
    short = [l for l in errors.said.splitlines() if "task sink-0" in l and "skipped" in l]
    long = [l for l in errors.said.splitlines() if "task verbose-0" in l and "skipped" in l]
    assert len(short) == len(long) == 2
    assert "VALUE_CONVERTER" in short[0] and "read JSON" in short[0]
    assert "topic t, queue 0, offset 2" in long[0] and "offset 5" in long[1]


def test_a_dead_letter_topic_with_a_bad_name_is_refused(errors):
    answer = errors.create("sink", connector__class=FILE_SINK, filename="x",
                           connect__topicnames="t",
                           errors__deadletterqueue__topic__name="no such/name")
    assert answer.status == 400
    assert "errors.deadletterqueue.topic.name" in answer.json["message"]


# ---- sink: records the connector itself refuses ------------------------------------------------


def test_a_reported_record_is_a_dead_letter(errors):
    assert errors.create("source", connector__class="trouble-source", connect__topicname="t",
                         count="10").status == 200
    assert errors.create("sink", connector__class="trouble-sink", connect__topicnames="t",
                         path=str(errors.folder / "out.txt"), report__every="3",
                         **{k.replace("__", "."): v for k, v in
                            {**ALL, **LETTERS, **CONTEXT}.items()}).status == 200
    wait_lines(errors, [f"trouble-{n}" for n in range(10) if n % 3 != 2])
    wait_until("three letters", lambda: metric(errors, "dead_letters_total", "sink") == 3)
    assert metric(errors, "records_skipped_total", "sink") == 3
    found = messages(errors, "letters")
    assert [m["body"] for m in found] == ["trouble-2", "trouble-5", "trouble-8"]
    assert [m["properties"]["__connect.errors.offset"] for m in found] == ["2", "5", "8"]
    assert found[0]["properties"]["__connect.errors.stage"] == "TASK_PUT"
    assert found[0]["properties"]["__connect.errors.exception.message"] == "reported as told"


def test_a_reported_record_fails_the_sink_without_tolerance(errors):
    assert errors.create("source", connector__class="trouble-source", connect__topicname="t",
                         count="10").status == 200
    assert errors.create("sink", connector__class="trouble-sink", connect__topicnames="t",
                         report__every="3").status == 200
    trace = wait_failed(errors, "sink")
    for part in ("offset 2", "topic 't'", "errors.tolerance=all", "reported as told"):
        assert part in trace, trace


def test_a_put_that_is_tried_again_reports_no_record_twice(errors):
    assert errors.create("source", connector__class="trouble-source", connect__topicname="t",
                         count="10", batch="10").status == 200
    assert errors.create("sink", connector__class="trouble-sink", connect__topicnames="t",
                         report__every="5", fail="put_late", fail__times="3",
                         fail__retriable="true", errors__retry__delay__max__ms="5",
                         **{k.replace("__", "."): v for k, v in
                            {**ALL, **LETTERS, **CONTEXT}.items()}).status == 200
    wait_until("the commit", lambda: committed(errors) == 10)
    assert metric(errors, "retries_total", "sink") == 3
    assert metric(errors, "records_skipped_total", "sink") == 2
    assert [m["body"] for m in messages(errors, "letters")] == ["trouble-4", "trouble-9"]


def test_a_sink_that_ignores_a_refusal_loses_nothing(errors):
    """Without tolerance report() fails; a sink that goes on must not get the offset committed."""
    assert errors.create("source", connector__class="trouble-source", connect__topicname="t",
                         count="10").status == 200
    assert errors.create("sink", connector__class="trouble-sink", connect__topicnames="t",
                         report__every="3", report__ignored="true").status == 200
    trace = wait_failed(errors, "sink")
    assert "offset" in trace and "reported as told" in trace
    assert committed(errors) <= 2


# ---- calls that fail ------------------------------------------------------------------------------


@pytest.mark.parametrize("call", ["put", "flush"])
def test_a_sink_that_fails_for_a_while_loses_and_repeats_nothing(errors, call):
    assert errors.create("source", connector__class="trouble-source", connect__topicname="t",
                         count="50").status == 200
    assert errors.create("sink", connector__class="trouble-sink", connect__topicnames="t",
                         path=str(errors.folder / "out.txt"), fail=call, fail__times="3",
                         fail__retriable="true", errors__retry__delay__max__ms="20").status == 200
    wait_lines(errors, [f"trouble-{n}" for n in range(50)])
    wait_until("three retries", lambda: metric(errors, "retries_total", "sink") == 3)
    wait_until("the commit", lambda: committed(errors) == 50)
    errors.wait_state("sink", "RUNNING")
    assert metric(errors, "errors_total", "sink") == 3
    assert metric(errors, "restarts_total", "sink") == 0


def test_a_source_that_fails_for_a_while_loses_nothing(errors):
    assert errors.create("source", connector__class="trouble-source", connect__topicname="t",
                         count="50", fail="poll", fail__times="4", fail__retriable="true",
                         batch="10", after="20", errors__retry__delay__max__ms="20").status == 200
    sink(errors, value__converter=STRING)
    wait_lines(errors, [f"trouble-{n}" for n in range(50)])
    assert metric(errors, "retries_total", "source") == 4
    assert metric(errors, "restarts_total", "source") == 0


def test_a_sink_that_never_gets_durable_is_given_up(make_worker):
    """Records that are put again and again are no progress."""
    worker = make_worker(pluginPaths=TROUBLE, offsetCommitIntervalMsConfig="10ms", **{
        "task.restart.delay": "5ms", "task.restart.delay.max": "10ms",
        "task.restart.max": "3"}).start()
    assert worker.create("source", connector__class="trouble-source", connect__topicname="t",
                         count="5").status == 200
    assert worker.create("sink", connector__class="trouble-sink", connect__topicnames="t",
                         path=str(worker.folder / "out.txt"), fail="flush", fail__times="-1",
                         after="1").status == 200
    trace = wait_failed(worker, "sink")
    assert "given up after 3 restarts" in trace and "task.restart.max" in trace, trace
    assert len(read_lines(worker)) == 4 * 5
    assert committed(worker) == 0


def test_a_stalled_task_shows_why(errors):
    assert errors.create("source", connector__class="trouble-source", connect__topicname="t",
                         count="5").status == 200
    assert errors.create("sink", connector__class="trouble-sink", connect__topicnames="t",
                         fail="put", fail__times="-1", fail__retriable="true",
                         fail__text="the target is away",
                         errors__retry__delay__max__ms="20").status == 200
    wait_until("STALLED", lambda: errors.states("sink")[1] == ["STALLED"])
    assert "the target is away" in errors.status("sink")["tasks"][0]["trace"]
    # It ends at once when asked to, in the middle of its retries.
    assert errors.stop() == 0


def test_a_failure_that_is_not_retriable_restarts_the_task(errors):
    assert errors.create("source", connector__class="trouble-source", connect__topicname="t",
                         count="50", fail="poll", fail__times="2", after="20",
                         batch="10").status == 200
    sink(errors, value__converter=STRING)
    wait_lines(errors, [f"trouble-{n}" for n in range(50)])
    assert metric(errors, "restarts_total", "source") == 2


# ---- operations that may work the next time ---------------------------------------------------------

FLAKY_TRANSFORM = {"transforms": "flaky", "transforms__flaky__class": "flaky-transform",
                   "transforms__flaky__match": "second"}
FLAKY_PREDICATE = {"transforms": "null", "transforms__null__class":
                   "org.apache.rocketmq.connect.transforms.SetNull$Key",
                   "transforms__null__predicate": "p", "predicates": "p",
                   "predicates__p__class": "flaky-predicate", "predicates__p__match": "second"}
TEXTS = ["first", "second", "third"]


@pytest.mark.parametrize("keys,times", [(FLAKY_TRANSFORM, "transforms__flaky__times"),
                                        (FLAKY_PREDICATE, "predicates__p__times")],
                         ids=["transform", "predicate"])
@pytest.mark.parametrize("side", ["source", "sink"])
def test_a_retriable_error_is_tried_again_within_its_time(errors, keys, times, side):
    keys = {**keys, times: "4", "errors__retry__timeout": "60000",
            "errors__retry__delay__max__ms": "10"}
    write_lines(errors, TEXTS)
    source(errors, **(keys if side == "source" else {}))
    sink(errors, value__converter=STRING, **(keys if side == "sink" else {}))
    wait_lines(errors, TEXTS)
    assert metric(errors, "retries_total", side) == 4
    assert metric(errors, "errors_total", side) == 4
    assert metric(errors, "restarts_total", side) == 0
    assert metric(errors, "records_skipped_total", side) == 0


@pytest.mark.parametrize("side", ["source", "sink"])
def test_when_the_time_is_over_tolerance_decides(errors, side):
    keys = {**FLAKY_TRANSFORM, "transforms__flaky__times": "-1", "errors__retry__timeout": "200",
            "errors__retry__delay__max__ms": "20", **ALL, **LETTERS, **CONTEXT}
    write_lines(errors, TEXTS)
    source(errors, **(keys if side == "source" else {}))
    sink(errors, value__converter=STRING, **(keys if side == "sink" else {}))
    wait_lines(errors, ["first", "third"])
    assert metric(errors, "records_skipped_total", side) == 1
    retries = metric(errors, "retries_total", side)
    assert 3 <= retries <= 100  # random delays of 1 to 20 ms in 200 ms
    letter, = messages(errors, "letters")
    assert letter["body"] == "second"  # as it was, not as the transform left it
    why = letter["properties"]["__connect.errors.exception.message"]
    assert "the registry is away" in why and f"given up after {retries + 1} tries" in why


def test_without_a_retry_time_a_retriable_error_is_not_tried_again(errors):
    write_lines(errors, TEXTS)
    source(errors)
    sink(errors, value__converter=STRING, **FLAKY_TRANSFORM, **ALL)
    wait_lines(errors, ["first", "third"])
    assert metric(errors, "retries_total", "sink") == 0


def test_a_stop_ends_retries_that_go_on_for_ever(errors):
    write_lines(errors, TEXTS)
    source(errors)
    sink(errors, value__converter=STRING, errors__retry__timeout="-1", **FLAKY_TRANSFORM,
         transforms__flaky__times="-1")
    wait_until("some retries", lambda: metric(errors, "retries_total", "sink") >= 2)
    assert errors.stop() == 0
    # "first" came before the stop or comes after it; nothing is skipped or doubled.
    errors.start()
    assert errors.request("PUT", "/api/v1/connectors/sink/config", {
        "connector.class": FILE_SINK, "filename": str(errors.folder / "out.txt"),
        "connect.topicnames": "t", "value.converter": STRING}).status == 200
    wait_lines(errors, TEXTS)


# ---- source -------------------------------------------------------------------------------------

# SetMaximumPrecision wants a struct; lines are texts. The predicate lets all but tombstones in.
NEEDS_STRUCT = {
    "transforms": "precision",
    "transforms__precision__class":
        "org.apache.rocketmq.connect.transforms.SetMaximumPrecision$Value",
    "transforms__precision__precision__max": "10"}


def test_a_source_names_the_record_that_failed_by_its_position(errors):
    write_lines(errors, ["first", "second"])
    source(errors, **NEEDS_STRUCT)
    trace = wait_failed(errors, "source")
    for part in ("record 1 of a poll", '"position":6', "in.txt", "transform 'precision'",
                 "SetMaximumPrecision", "errors.tolerance=all"):
        assert part in trace, trace


def test_a_source_skips_and_keeps_what_its_transforms_refuse(errors):
    write_lines(errors, ["first", "second"])
    source(errors, **NEEDS_STRUCT, **ALL, **LETTERS, **CONTEXT)
    wait_until("two letters", lambda: metric(errors, "dead_letters_total", "source") == 2)
    assert metric(errors, "records_skipped_total", "source") == 2
    wait_until("their receipt", lambda: metric(errors, "records_written_total", "source") == 2)
    # Position and letters are one transaction: a kill repeats none of them.
    errors.kill()
    errors.start()
    write_lines(errors, ["third"])
    wait_until("third", lambda: metric(errors, "dead_letters_total", "source") == 1)
    found = messages(errors, "letters")
    assert [m["body"] for m in found] == ["first", "second", "third"]
    properties = found[0]["properties"]
    assert properties["__connect.errors.stage"] == "TRANSFORMATION"
    assert properties["__connect.errors.class.name"].endswith("SetMaximumPrecision$Value")
    assert properties["__connect.errors.topic"] == "t"
    assert properties["__connect.errors.connector.name"] == "source"


@pytest.mark.parametrize("side", ["source", "sink"])
def test_a_letter_is_what_came_not_what_earlier_transforms_made(errors, side):
    keys = {"transforms": "mark,flaky",
            "transforms__mark__class": "org.apache.rocketmq.connect.file.FilterTransform",
            "transforms__flaky__class": "flaky-transform", "transforms__flaky__times": "-1",
            "transforms__flaky__match": "second", **ALL, **LETTERS}
    write_lines(errors, TEXTS)
    source(errors, **(keys if side == "source" else {}))
    sink(errors, value__converter=STRING, **(keys if side == "sink" else {}))
    wait_lines(errors, ["first:filter", "third:filter"])
    wait_until("the letter", lambda: metric(errors, "dead_letters_total", side) == 1)
    assert [m["body"] for m in messages(errors, "letters")] == ["second"]


def test_a_record_that_is_too_large_as_a_message_is_skipped(errors):
    """3 MiB of quotes are 6 MiB as JSON; the letter has the line as it was."""
    quotes = '"' * (3 << 20)
    write_lines(errors, ["small", quotes, "last"])
    assert errors.create("source", connector__class=FILE_SOURCE, connect__topicname="t",
                         filename=str(errors.folder / "in.txt"), line__max__bytes="3500000",
                         value__converter=JSON, value__converter__schemas__enable="false",
                         **{k.replace("__", "."): v for k, v in
                            {**ALL, **LETTERS, **CONTEXT}.items()}).status == 200
    sink(errors)
    wait_lines(errors, ["small", "last"])
    assert metric(errors, "records_skipped_total", "source") == 1
    letter, = messages(errors, "letters")
    assert letter["body"] == quotes
    assert letter["properties"]["__connect.errors.stage"] == "ROCKETMQ_PRODUCE"
    assert "larger than the limit" in letter["properties"]["__connect.errors.exception.message"]


def test_filtered_records_are_counted_and_not_written(errors):
    def create():
        return errors.create(
            "source", connector__class="trouble-source", connect__topicname="t", count="10",
            null__every="3", finish="false", transforms="drop",
            transforms__drop__class="org.apache.kafka.connect.transforms.Filter",
            transforms__drop__predicate="gone", predicates="gone", predicates__gone__class=
            "org.apache.kafka.connect.transforms.predicates.RecordIsTombstone")
    assert create().status == 200
    sink(errors, value__converter=STRING)
    kept = [f"trouble-{n}" for n in range(10) if n % 3 != 2]
    wait_lines(errors, kept)
    assert metric(errors, "records_polled_total", "source") == 10
    assert metric(errors, "records_filtered_total", "source") == 3
    assert metric(errors, "records_skipped_total", "source") == 0
    # The position is behind all of them: nothing is polled again.
    errors.restart()
    errors.wait_state("source", "RUNNING")
    assert '"next":10' in errors.get("/api/v1/connectors/source/offsets").text.replace(" ", "")
    assert len(messages(errors, "t")) == len(kept)


def test_tombstones_arrive_as_nulls(errors):
    assert errors.create("source", connector__class="trouble-source", connect__topicname="t",
                         count="4", null__every="2", key="true").status == 200
    assert errors.create("show", connector__class="show-sink", connect__topicnames="t",
                         path=str(errors.folder / "show.txt")).status == 200
    sink(errors, name="skips", out="skips.txt", value__converter=STRING)
    sink(errors, name="empty", out="empty.txt", value__converter=STRING, null__value="empty")
    wait_until("four records", lambda: len(read_lines(errors, "show.txt")) == 4)
    shown = [json.loads(line) for line in read_lines(errors, "show.txt")]
    assert [(r["key"], r["value"]) for r in shown] == [
        ("k0", "trouble-0"), ("k1", None), ("k2", "trouble-2"), ("k3", None)]
    wait_lines(errors, ["trouble-0", "", "trouble-2", ""], "empty.txt")
    wait_lines(errors, ["trouble-0", "trouble-2"], "skips.txt")
    assert [m["body"] for m in messages(errors, "t")] == ["trouble-0", None, "trouble-2", None]
