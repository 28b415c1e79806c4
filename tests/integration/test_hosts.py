# SPDX-License-Identifier: Apache-2.0
"""Connectors in processes of their own: native ones, and a host that shares no code with ours.

tests/fakehost/fakehost.py is written from docs/host-protocol.md alone and goes wrong on demand.
"""
import json
import os
import pathlib
import re
import signal

import pytest
from conftest import BUILD, FILE_SINK, FILE_SOURCE, ROOT, wait_until

TEMPLATE = BUILD / "connectors/template.so"
TROUBLE = BUILD / "tests/plugins/trouble.so"
FAKE = ROOT / "tests/fakehost/fakehost.py"
QUICK = {"task.restart.delay": "20ms", "task.restart.delay.max": "200ms", "host.heartbeat": "300ms",
         "host.stop.timeout": "600ms", "maxStartTimeoutMills": "20s",
         "host.start.timeout": "20s", "host.idle.timeout": "300ms"}


def manifest(folder, *words, **more):
    place = pathlib.Path(folder) / "plugins" / "fake"
    place.mkdir(parents=True)
    (place / "connector.json").write_text(
        json.dumps({"name": "fake", "command": [str(FAKE), *words], "protocol": [1], **more}))
    return place.parent


@pytest.fixture
def fake(make_worker, tmp_path):
    """A worker that knows fake.Source and fake.Sink, with short limits."""
    return make_worker(pluginPaths=manifest(tmp_path), **QUICK).start()


def fake_source(worker, name="source", topic="t", **keys):
    answer = worker.create(name, connector__class="fake.Source", connect__topicname=topic,
                           **{k: str(v) for k, v in keys.items()})
    assert answer.status == 200, answer
    return answer


def fake_sink(worker, path, name="sink", topic="t", **keys):
    answer = worker.create(name, connector__class="fake.Sink", connect__topicnames=topic,
                           file=str(path), **{k: str(v) for k, v in keys.items()})
    assert answer.status == 200, answer
    return answer


def file_sink(worker, path, name="copy", topic="t", **keys):
    answer = worker.create(name, connector__class=FILE_SINK, connect__topicnames=topic,
                           filename=str(path), **keys)
    assert answer.status == 200, answer


def numbers(count, prefix="r"):
    return [f"{prefix}{n}" for n in range(1, count + 1)]


def lines(path):
    return path.read_text().splitlines() if path.exists() else []


def children(worker):
    """Hosts of the worker that live."""
    found = []
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) == worker.process.pid and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def lives(worker):
    return worker.get("/health").status == 200 and worker.process.poll() is None


# ---- native connectors with isolation=process ----

def test_native_connectors_work_the_same_in_hosts(make_worker, tmp_path):
    worker = make_worker(pluginPaths=TEMPLATE, **QUICK).start()
    out = tmp_path / "out.txt"
    assert worker.create("hello", connector__class="template-source", connect__topicname="t",
                         count="5000", isolation="process").status == 200
    assert worker.create("out", connector__class="template-sink", connect__topicnames="t",
                         filename=str(out), isolation="process").status == 200
    wait_until("5000 lines", lambda: len(lines(out)) == 5000)
    assert lines(out) == [f"greeting {n}" for n in range(1, 5001)]
    worker.wait_state("hello", "FINISHED", "RUNNING")
    assert len(children(worker)) >= 1
    # Counters and log lines of a host look like those of a plugin in the worker.
    wait_until("the counter", lambda: 'rocketmq_connect_plugin_greetings_total{connector="hello"' in
               worker.get("/metrics").text)
    assert "task hello-0: starts behind number 0" in worker.said
    # A configuration is checked by the plugin, in a host as well.
    answer = worker.create("bad", connector__class="template-source", count="0", isolation="process")
    assert answer.status == 400 and "count" in answer.text
    assert worker.stop() == 0


@pytest.mark.parametrize("victim", ["source", "sink"])
def test_nothing_is_lost_or_repeated_when_hosts_are_killed(make_worker, tmp_path, victim):
    worker = make_worker(**QUICK, **{"host.crashes.max": "-1"}).start()
    source, out, count = tmp_path / "in.txt", tmp_path / "out.txt", 400000
    source.write_text("".join(f"{n}\n" for n in range(count)))
    where = {"source": "process", "sink": "none"} if victim == "source" else \
        {"source": "none", "sink": "process"}
    assert worker.create("copy-in", connector__class=FILE_SOURCE, filename=str(source),
                         connect__topicname="t", isolation=where["source"]).status == 200
    file_sink(worker, out, isolation=where["sink"])
    kills = 0
    while kills < 3:
        seen = len(lines(out))
        wait_until("more lines", lambda: len(lines(out)) > min(seen + 1000, count - 1))
        for pid in children(worker):
            os.kill(pid, signal.SIGKILL)
            kills += 1
        if len(lines(out)) == count:
            break
    wait_until("all lines", lambda: len(lines(out)) == count, 60)
    assert out.read_bytes() == source.read_bytes()
    if kills:
        assert "killed by signal 9 (SIGKILL)" in worker.said
    worker.wait_state("copy-in", "RUNNING")
    worker.wait_state("copy", "RUNNING")


@pytest.mark.parametrize("havoc, words", [
    ("exit", "exit status 7"),
    ("segv", "killed by signal 11 (SIGSEGV)"),
    ("hog", "killed by signal 11 (SIGSEGV)"),
    ("spin", "'poll' of bad-0 did not return within 500 ms"),
    ("garbage", "protocol error: "),
])
def test_a_native_plugin_can_do_its_worst_in_a_process_of_its_own(make_worker, tmp_path, havoc,
                                                                  words):
    worker = make_worker(pluginPaths=TROUBLE, **QUICK, **{"host.poll.timeout": "500ms",
                                                          "host.memory.max": "256MiB"}).start()
    out = tmp_path / "out.txt"
    assert worker.create("bad", connector__class="trouble-source", connect__topicname="t",
                         count="1000", after="500", isolation="process", once=str(tmp_path / "once"),
                         havoc=havoc, havoc__call="poll").status == 200
    file_sink(worker, out)
    wait_until("1000 lines", lambda: len(lines(out)) == 1000)
    assert lines(out) == [f"trouble-{n}" for n in range(1000)]
    wait_until(words, lambda: words in worker.said)
    assert lives(worker)


def test_hosts_die_with_the_worker(make_worker, tmp_path):
    worker = make_worker(pluginPaths=manifest(tmp_path), **QUICK).start()
    fake_source(worker, count=10, bounded="false")
    assert worker.create("native", connector__class=FILE_SOURCE, filename=str(tmp_path / "in.txt"),
                         connect__topicname="t", isolation="process").status == 200
    wait_until("two hosts", lambda: len(children(worker)) == 2)
    pids = children(worker)
    worker.kill()

    def gone():
        return not [p for p in pids if pathlib.Path(f"/proc/{p}/stat").exists() and
                    pathlib.Path(f"/proc/{p}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"]
    wait_until("the hosts to be gone", gone)


def test_connectors_of_a_group_share_a_host(make_worker, tmp_path):
    worker = make_worker(**QUICK).start()
    for n in range(3):
        assert worker.create(f"s{n}", connector__class=FILE_SOURCE, connect__topicname="t",
                             filename=str(tmp_path / f"in{n}.txt"), isolation="process",
                             host__group="all").status == 200
    for n in range(3):
        worker.wait_state(f"s{n}", "RUNNING")
    wait_until("one host", lambda: len(children(worker)) == 1)
    for n in range(3):
        worker.request("DELETE", f"/api/v1/connectors/s{n}")
    wait_until("no host", lambda: not children(worker))


def test_a_finished_source_keeps_no_process(make_worker, tmp_path):
    worker = make_worker(pluginPaths=TEMPLATE, **QUICK).start()
    out = tmp_path / "out.txt"
    for name in ("one", "two"):
        assert worker.create(name, connector__class="template-source", connect__topicname="t",
                             count="100", isolation="process", host__group="g").status == 200
    file_sink(worker, out)
    for name in ("one", "two"):
        worker.wait_state(name, "FINISHED", "FINISHED")
    wait_until("200 lines", lambda: len(lines(out)) == 200)
    wait_until("no host", lambda: not children(worker))
    started = worker.said.count("host of 'group g': started")
    # A task that is started again gets one, with its connector, and finds nothing new.
    assert worker.request("POST", "/api/v1/connectors/one/tasks/0/restart").status < 300
    wait_until("a host", lambda: worker.said.count("host of 'group g': started") > started)
    worker.wait_state("one", "FINISHED", "FINISHED")
    wait_until("no host", lambda: not children(worker))
    assert len(lines(out)) == 200
    assert worker.stop() == 0


# ---- a host of strangers ----

def test_a_foreign_source_and_sink_move_records(fake, tmp_path):
    out = tmp_path / "out.txt"
    listed = fake.get("/api/v1/connector-plugins").text
    assert "fake.Source" in listed and "fake.Sink" in listed
    fake_source(fake, count=20000, rate=500)
    fake_sink(fake, out)
    wait_until("20000 lines", lambda: len(lines(out)) == 20000)
    assert lines(out) == numbers(20000)
    fake.wait_state("source", "FINISHED")
    wait_until("METRICS", lambda: "rocketmq_connect_plugin_acked_total" in fake.get("/metrics").text)
    # The position was committed by the worker: a task that is started again has nothing to do.
    assert fake.request("POST", "/api/v1/connectors/source/restart?includeTasks=true").status < 300
    fake.wait_state("source", "FINISHED")
    assert len(lines(out)) == 20000
    assert fake.stop() == 0


def test_a_foreign_configuration_is_checked_by_its_plugin(fake):
    answer = fake.create("x", connector__class="fake.Source", connect__topicname="t", bad="wrong")
    assert answer.status == 400
    assert "bad: is no good: wrong" in answer.text
    answer = fake.create("x", connector__class="fake.Source", connect__topicname="t", named="y")
    assert answer.status == 400 and "named: the connector is x" in answer.text


def test_a_refused_record_takes_the_way_of_errors(fake, tmp_path):
    out = tmp_path / "out.txt"
    fake_source(fake, count=50)
    fake_sink(fake, out, refuse="r7", errors__tolerance="all",
              errors__deadletterqueue__topic__name="letters")
    wait_until("49 lines", lambda: len(lines(out)) == 49)
    assert "r7" not in lines(out)
    letters = tmp_path / "letters.txt"
    file_sink(fake, letters, "letters", "letters")
    wait_until("the letter", lambda: lines(letters) == ["r7"])


def test_errors_of_a_host_say_what_a_native_plugin_would(fake, tmp_path):
    fake_source(fake, "away", poll__error="retriable", fault="error")
    wait_until("STALLED", lambda: "the source is away" in
               fake.get("/api/v1/connectors/away/status").text)
    assert fake.states("away")[1] == ["STALLED"]
    fake_source(fake, "never", start__error="no such table")
    wait_until("FAILED", lambda: "no such table" in
               fake.get("/api/v1/connectors/never/status").text)


def test_a_put_that_is_retriable_is_tried_again(fake, tmp_path):
    out = tmp_path / "out.txt"
    fake_source(fake, count=1000)
    fake_sink(fake, out, fault="retriable", fault__once=tmp_path / "once")
    wait_until("1000 lines", lambda: len(lines(out)) == 1000)
    assert lines(out) == numbers(1000)


def test_transforms_predicates_and_converters_run_in_hosts(fake, tmp_path):
    out, raw = tmp_path / "out.txt", tmp_path / "raw.txt"
    fake_source(fake, count=20, value__converter="fake.Shout", transforms="s",
                transforms__s__class="fake.Suffix", transforms__s__suffix="-x",
                transforms__s__drop="r3", transforms__s__predicate="p", transforms__s__negate="true",
                predicates="p", predicates__p__class="fake.Is", predicates__p__value="r5")
    expected = [n if n == "r5" else n + "-x" for n in numbers(20) if n != "r3"]
    file_sink(fake, raw, "raw")
    wait_until("19 lines", lambda: len(lines(raw)) == 19)
    assert lines(raw) == [n.upper() for n in expected]
    file_sink(fake, out, value__converter="fake.Shout")
    wait_until("19 lines", lambda: len(lines(out)) == 19)
    assert lines(out) == expected


def test_a_java_converter_without_its_jar_is_told_where_to_put_it(fake):
    answer = fake.create("x", connector__class="fake.Source", connect__topicname="t",
                         value__converter="io.confluent.connect.avro.AvroConverter")
    assert answer.status == 400 and "there is no such converter" in answer.text
    assert "put its jar" in answer.text and "pluginPaths" in answer.text


def test_a_component_that_cannot_start_says_why(fake):
    fake_source(fake, "x", transforms="s", transforms__s__class="fake.Suffix",
                **{"transforms__s__start.error": "no way"})
    wait_until("FAILED", lambda: fake.states("x")[1] == ["FAILED"])
    assert "no way" in fake.get("/api/v1/connectors/x/status").text


def test_the_end_of_a_transforms_host_costs_no_record(fake, tmp_path):
    out = tmp_path / "out.txt"
    fake_source(fake, count=200, errors__tolerance="all", transforms="s",
                transforms__s__class="fake.Suffix", transforms__s__suffix="!",
                transforms__s__refuse="r9", **{"transforms__s__fault": "segv",
                                               "transforms__s__fault.call": "apply",
                                               "transforms__s__fault.once": str(tmp_path / "once")})
    file_sink(fake, out)
    wait_until("199 lines", lambda: len(lines(out)) == 199)
    assert lines(out) == [n + "!" for n in numbers(200) if n != "r9"]
    assert "killed by signal 11 (SIGSEGV)" in fake.said


PROTOCOL_BUGS = ["frame-too-long", "unknown-schema", "credit-exceeded", "unexpected-reply", "too-deep",
                 "truncated", "wrong-sequence", "unknown-frame", "unknown-instance", "wrong-kind",
                 "bad-reference"]


@pytest.mark.parametrize("bug", PROTOCOL_BUGS)
def test_a_protocol_bug_is_named_and_nothing_is_lost(fake, tmp_path, bug):
    out = tmp_path / "out.txt"
    fake_source(fake, count=1000, rate=10, fault=bug, fault__at=500, fault__once=tmp_path / "once",
                batch__records__max=10)
    file_sink(fake, out)
    wait_until("1000 lines", lambda: len(lines(out)) == 1000)
    assert lines(out) == numbers(1000)
    assert f"protocol error: {bug}:" in fake.said
    assert lives(fake)


@pytest.mark.parametrize("fault, call, words", [
    ("exit", "start", "exit status 7"),
    ("exit", "poll", "exit status 7. Its last words: going away"),
    ("segv", "poll", "killed by signal 11 (SIGSEGV)"),
    ("deaf", "poll", "did not answer PING"),
    ("silent", "start", "'start' of source-0 did not return within"),
])
def test_a_source_that_breaks_down_goes_on(make_worker, tmp_path, fault, call, words):
    worker = make_worker(pluginPaths=manifest(tmp_path),
                         **{**QUICK, "maxStartTimeoutMills": "4s"}).start()
    out = tmp_path / "out.txt"
    fake_source(worker, count=1000, rate=10, fault=fault, fault__call=call, fault__at=500,
                fault__once=tmp_path / "once", bounded="false")
    file_sink(worker, out)
    wait_until("1000 lines", lambda: len(lines(out)) == 1000)
    assert lines(out) == numbers(1000)
    wait_until(words, lambda: words in worker.said)
    worker.wait_state("source", "RUNNING")
    assert lives(worker)


@pytest.mark.parametrize("own, key", [("128MiB", "memory.max of "), (None, "host.memory.max")])
def test_a_host_with_more_memory_than_allowed_is_named_and_replaced(make_worker, tmp_path, own, key):
    plugins = manifest(tmp_path, **({"memory.max": own} if own else {}))
    worker = make_worker(pluginPaths=plugins, **QUICK,
                         **{"host.memory.max": "0" if own else "128MiB"}).start()
    out = tmp_path / "out.txt"
    fake_source(worker, count=1000, rate=10, fault="hog", fault__call="poll", fault__at=500,
                fault__once=tmp_path / "once", bounded="false")
    file_sink(worker, out)
    wait_until("the reason", lambda: "of memory, more than " + key in worker.said)
    assert "= 128 MiB allows, and was killed: raise the limit" in worker.said
    wait_until("1000 lines", lambda: len(lines(out)) == 1000)
    assert lines(out) == numbers(1000)


def test_a_poll_that_never_returns_ends_only_when_that_is_asked_for(make_worker, tmp_path):
    worker = make_worker(pluginPaths=manifest(tmp_path), **QUICK, **{"host.poll.timeout": "500ms"})
    worker.start()
    out = tmp_path / "out.txt"
    fake_source(worker, count=100, rate=10, fault="silent", fault__call="poll", fault__at=50,
                fault__once=tmp_path / "once")
    file_sink(worker, out)
    wait_until("100 lines", lambda: len(lines(out)) == 100)
    assert "'poll' of source-0 did not return within 500 ms" in worker.said


@pytest.mark.parametrize("fault, words", [
    ("silent", "'put' of sink-0 did not return within 600 ms"),
    ("segv", "killed by signal 11 (SIGSEGV)"),
])
def test_a_sink_that_breaks_down_goes_on(make_worker, tmp_path, fault, words):
    limit = {"host.call.timeout": "600ms"} if fault == "silent" else {}
    worker = make_worker(pluginPaths=manifest(tmp_path), **QUICK, **limit).start()
    out = tmp_path / "out.txt"
    fake_source(worker, count=1000)
    fake_sink(worker, out, fault=fault, fault__call="put", fault__once=tmp_path / "once")
    wait_until("1000 lines", lambda: set(lines(out)) == set(numbers(1000)))
    assert words in worker.said


def test_the_host_of_a_sink_without_records_is_replaced_at_once(fake, tmp_path):
    out = tmp_path / "out.txt"
    fake_sink(fake, out)
    fake.wait_state("sink", "RUNNING")
    wait_until("the sink's host alone", lambda: len(children(fake)) == 1)
    first = children(fake)
    os.kill(first[0], signal.SIGKILL)
    wait_until("another host", lambda: children(fake) not in (first, []))
    fake.wait_state("sink", "RUNNING")
    assert "killed by signal 9 (SIGKILL)" in fake.said
    assert re.search(r'task_restarts_total{connector="sink",.*} 1$', fake.get("/metrics").text, re.M)
    fake_source(fake, count=10)
    wait_until("10 lines", lambda: lines(out) == numbers(10))


def test_a_stop_that_never_returns_costs_the_host_and_nothing_else(fake, tmp_path):
    fake_source(fake, count=10, bounded="false", fault="silent", fault__call="stop")
    fake.wait_state("source", "RUNNING")
    assert fake.request("DELETE", "/api/v1/connectors/source").status in (202, 204)
    wait_until("no host", lambda: not children(fake))
    assert "did not return within 600 ms" in fake.said
    assert fake.stop() == 0  # nothing was left behind


def test_a_task_can_be_stopped_while_a_put_hangs(make_worker, tmp_path):
    worker = make_worker(pluginPaths=manifest(tmp_path),
                         **{**QUICK, "host.call.timeout": "1h"}).start()
    fake_source(worker, count=10, bounded="false")
    marker = tmp_path / "hangs"
    fake_sink(worker, tmp_path / "out.txt", fault="silent", fault__call="put", fault__once=marker)
    wait_until("the put", marker.exists)
    assert worker.request("DELETE", "/api/v1/connectors/sink").status in (202, 204)
    wait_until("the end of the put", lambda: "'put' of sink-0 did not return within" in worker.said)
    wait_until("the source's host alone", lambda: len(children(worker)) == 1)
    assert "STUCK" not in worker.said
    assert worker.stop() == 0


def test_endless_output_is_counted_and_the_rest_goes_on(fake, tmp_path):
    out = tmp_path / "out.txt"
    fake_source(fake, "loud", "other", count=10, bounded="false", fault="flood")
    fake_source(fake, count=5000)
    file_sink(fake, out)
    wait_until("5000 lines", lambda: len(lines(out)) == 5000)
    wait_until("the count", lambda: "more lines were not shown" in fake.said)
    assert len(fake.said) < 4 << 20
    fake.wait_state("loud", "RUNNING")
    assert lives(fake)


def test_a_host_that_keeps_dying_is_left_alone_until_the_connector_is_restarted(
        make_worker, tmp_path):
    worker = make_worker(pluginPaths=manifest(tmp_path), **{**QUICK, "host.crashes.max": "2"}).start()
    marker = tmp_path / "once"
    fake_source(worker, count=10, fault="exit", fault__call="start")
    wait_until("FAILED", lambda: worker.states("source")[1] == ["FAILED"])
    status = worker.get("/api/v1/connectors/source/status").text
    assert "has died 3 times within 5 minutes" in status and "exit status 7" in status
    # Somebody repairs it and restarts the connector.
    assert worker.request("PUT", "/api/v1/connectors/source/config", {
        "connector.class": "fake.Source", "connect.topicname": "t", "count": "10"}).status == 200
    worker.wait_state("source", "FINISHED")
    assert not marker.exists()


@pytest.mark.parametrize("mode, within, words", [
    ("mute", "500ms", "did not say HELLO within 500 ms"),
    ("no-hello", "20s", "protocol error: no-hello"),
    ("old", "20s", "it speaks versions 9 to 9, this worker 1"),
])
def test_a_host_that_never_gets_going_is_refused_with_the_reason(make_worker, tmp_path, mode, within,
                                                                 words):
    worker = make_worker(pluginPaths=manifest(tmp_path, mode), **{**QUICK, "host.start.timeout": within})
    worker.start()
    refused = worker.get("/api/v1/connector-plugins?refused=true")
    assert words in refused.text
    assert lives(worker)


@pytest.mark.parametrize("text, words", [
    ('{"command": []}', "'command' must be a list"),
    ('{"command": ["x"', "line 1"),
    ('{"command": ["/nowhere/host"]}', "the host '/nowhere/host' cannot be run"),
    ('{"command": ["true"], "protocol": [2]}', "'protocol' must name version 1"),
    ('{"command": ["true"]}', "ended before it said HELLO: exit status 0"),
    ('{"command": ["x"], "memory.max": "much"}', "'memory.max' is 'much', which is no size"),
    ('{"command": ["x"], "memory.max": 5}', "'memory.max' is no string, which is no size"),
    ('{"command": ["x"], "plugins": [{"kind": "both", "class": "a.B"}]}', "a 'kind': source, sink"),
])
def test_a_wrong_manifest_is_refused_with_the_reason(make_worker, tmp_path, text, words):
    place = tmp_path / "plugins" / "wrong"
    place.mkdir(parents=True)
    (place / "connector.json").write_text(text)
    worker = make_worker(pluginPaths=place.parent, **QUICK).start()
    assert words in worker.get("/api/v1/connector-plugins?refused=true").text


def test_a_reload_finds_new_plugins_of_hosts_while_others_run(fake, tmp_path):
    out = tmp_path / "out.txt"
    fake_source(fake, count=50000, rate=100)
    fake_sink(fake, out)
    place = tmp_path / "plugins" / "more"
    place.mkdir()
    (place / "connector.json").write_text(json.dumps(
        {"command": [str(FAKE)], "plugins": [{"kind": "source", "class": "more.Source"}]}))
    assert fake.get("/plugin/reload").status == 200
    assert fake.create("late", connector__class="more.Source", connect__topicname="u",
                       count="5").status == 200
    fake.wait_state("late", "FINISHED")
    wait_until("50000 lines", lambda: len(lines(out)) == 50000)
    assert lines(out) == numbers(50000)


def test_options_of_a_manifest_are_those_of_the_connector(make_worker, tmp_path):
    plugins = manifest(tmp_path, plugins=[
        {"kind": "source", "class": "fake.Source", "version": "2.0", "doc": "Counts.",
         "options": [{"name": "count", "type": "int", "min": 1, "max": 100, "default": "3",
                      "doc": "How many."}]}])
    worker = make_worker(pluginPaths=plugins, **QUICK).start()
    answer = worker.create("x", connector__class="fake.Source", connect__topicname="t", count="101")
    assert answer.status == 400 and "count" in answer.text
    answer = worker.create("x", connector__class="fake.Source", connect__topicname="t", coumt="3")
    assert answer.status == 400 and "did you mean 'count'" in answer.text
    fake_source(worker, "good", count=3)
    worker.wait_state("good", "FINISHED")
