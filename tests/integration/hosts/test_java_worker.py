# SPDX-License-Identifier: Apache-2.0
"""A real worker with the Java host: published jars and a user's own, over the embedded log."""
import os
import pathlib
import shutil
import signal
import subprocess

import conftest
import pytest
from conftest import wait_until
from hosts.test_java_host import EXAMPLE, FILE_SINK, FILE_SOURCE, JAR, KAFKA_FILE, LINE, REVERSE, TICK, UPPER

pytestmark = pytest.mark.skipif(not (JAR.exists() and EXAMPLE.exists() and shutil.which("java")),
                                reason="not built: targets java_host and java_examples")
NATIVE_SINK = "org.apache.rocketmq.connect.file.FileSinkConnector"
JSON = "org.apache.rocketmq.connect.runtime.converter.record.json.JsonConverter"
BYTES = "org.apache.rocketmq.connect.runtime.converter.record.ByteArrayConverter"
QUICK = {"task.restart.delay": "20ms", "task.restart.delay.max": "200ms", "host.heartbeat": "200ms",
         "host.crashes.max": "-1",
         "host.java.options": "-XX:+UseSerialGC -Xmx96m -XX:+ExitOnOutOfMemoryError "
                              "-XX:TieredStopAtLevel=1"}


@pytest.fixture
def worker(make_worker, tmp_path):
    plugins = tmp_path / "plugins"
    (plugins / "kafka-file").mkdir(parents=True)
    shutil.copy(KAFKA_FILE, plugins / "kafka-file")
    shutil.copy(EXAMPLE, plugins)
    return make_worker(pluginPaths=plugins, **QUICK).start()


def create(worker, name, **keys):
    answer = worker.create(name, **{k: str(v) for k, v in keys.items()})
    assert answer.status == 200, answer
    return answer


def lines(path):
    return path.read_text().splitlines() if path.exists() else []


def java_hosts(worker):
    found = []
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) == worker.process.pid and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def test_kafka_file_to_kafka_file(worker, tmp_path):
    source, out = tmp_path / "in.txt", tmp_path / "out.txt"
    source.write_text("".join(f"{n}\n" for n in range(20000)))
    create(worker, "in", connector__class=FILE_SOURCE, file=source, topic="t")
    create(worker, "out", connector__class=FILE_SINK, file=out, connect__topicnames="t")
    wait_until("all lines", lambda: len(lines(out)) >= 20000, 60)
    assert lines(out) == [str(n) for n in range(20000)]
    assert worker.stop() == 0


def test_an_installed_program_finds_its_java_host(make_worker, tmp_path, monkeypatch):
    prefix, plugins, out = tmp_path / "usr", tmp_path / "plugins", tmp_path / "out.txt"
    done = subprocess.run(["cmake", "--install", str(conftest.BUILD), "--prefix", str(prefix)],
                          capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert (prefix / "lib/rocketmq-connect/java/rc-host.jar").exists()
    plugins.mkdir()
    shutil.copy(EXAMPLE, plugins)
    monkeypatch.setattr(conftest, "PROGRAM", prefix / "bin/rocketmq-connect")
    worker = make_worker(pluginPaths=plugins, **QUICK).start()
    create(worker, "in", connector__class=TICK, connect__topicname="t", count=100)
    create(worker, "out", connector__class=NATIVE_SINK, connect__topicnames="t", filename=out)
    wait_until("100 lines", lambda: len(lines(out)) == 100, 60)
    commands = [pathlib.Path(f"/proc/{p}/cmdline").read_text() for p in java_hosts(worker)]
    assert commands and all(str(prefix) in command for command in commands)
    assert worker.stop() == 0


@pytest.mark.parametrize("victim", ["in", "out"])
def test_nothing_is_lost_when_java_hosts_are_killed(worker, tmp_path, victim):
    source, out, count = tmp_path / "in.txt", tmp_path / "out.txt", 300000
    source.write_text("".join(f"{n}\n" for n in range(count)))
    native = "org.apache.rocketmq.connect.file.FileSourceConnector"
    create(worker, "in", connect__topicname="t", **(
        {"connector__class": FILE_SOURCE, "file": source, "topic": "t"} if victim == "in" else
        {"connector__class": native, "filename": source}))
    create(worker, "out", connect__topicnames="t", **(
        {"connector__class": NATIVE_SINK, "filename": out} if victim == "in" else
        {"connector__class": FILE_SINK, "file": out}))
    for _ in range(2):
        seen = len(lines(out))
        wait_until("more lines", lambda: len(lines(out)) > min(seen + 500, count - 1), 60)
        for pid in java_hosts(worker):
            os.kill(pid, signal.SIGKILL)
    wait_until("all lines", lambda: len(set(lines(out))) == count, 120)
    if victim == "in":
        assert lines(out) == [str(n) for n in range(count)], "positions and records are one"
    assert worker.stop() == 0


def test_a_users_source_with_structs_and_a_users_sink(worker, tmp_path):
    json_out, out = tmp_path / "json.txt", tmp_path / "out.txt"
    create(worker, "ticks", connector__class=TICK, connect__topicname="t", count=3000,
           struct="true", value__converter=JSON)
    create(worker, "json", connector__class=NATIVE_SINK, connect__topicnames="t", filename=json_out)
    create(worker, "lines", connector__class=LINE, connect__topicnames="t", file=out,
           value__converter=JSON)
    wait_until("all lines", lambda: len(lines(out)) == 3000 and len(lines(json_out)) == 3000, 60)
    assert lines(out)[2999] == "t/0/2999 Struct{n=3000,price=3000.50,tags=[t3000]}"
    assert '"n":3000' in lines(json_out)[2999]
    assert worker.stop() == 0


def test_transforms_and_converters_of_users(worker, tmp_path):
    out, raw = tmp_path / "out.txt", tmp_path / "raw.txt"
    create(worker, "ticks", connector__class=TICK, connect__topicname="t", count=300,
           value__converter=REVERSE, value__converter__mark="~", transforms="up",
           transforms__up__class=UPPER, transforms__up__end="!")
    create(worker, "raw", connector__class=NATIVE_SINK, connect__topicnames="t", filename=raw)
    create(worker, "lines", connector__class=LINE, connect__topicnames="t", file=out,
           value__converter=REVERSE, value__converter__mark="~")
    wait_until("all lines", lambda: len(lines(out)) == 300 and len(lines(raw)) == 300, 60)
    assert lines(raw)[299] == "~!003 KCIT" and lines(out)[299] == "t/0/299 TICK 300!"
    assert worker.stop() == 0


def test_kafkas_transforms_and_converters_inside_a_task(worker, tmp_path):
    source, out, raw = tmp_path / "in.txt", tmp_path / "out.txt", tmp_path / "raw.txt"
    source.write_text("".join(f"{n}\n" for n in range(100)))
    json = {"kafka.value.converter": "org.apache.kafka.connect.json.JsonConverter",
            "kafka.value.converter.schemas.enable": "false", "value.converter": BYTES}
    create(worker, "in", connector__class=FILE_SOURCE, file=source, topic="t", **json, **{
        "kafka.transforms": "wrap", "kafka.transforms.wrap.type":
        "org.apache.kafka.connect.transforms.HoistField$Value", "kafka.transforms.wrap.field": "line"})
    create(worker, "raw", connector__class=NATIVE_SINK, connect__topicnames="t", filename=raw)
    create(worker, "out", connector__class=FILE_SINK, file=out, connect__topicnames="t", **json, **{
        "kafka.transforms": "take", "kafka.transforms.take.type":
        "org.apache.kafka.connect.transforms.ExtractField$Value", "kafka.transforms.take.field": "line"})
    wait_until("all lines", lambda: len(lines(out)) == 100 and len(lines(raw)) == 100, 60)
    assert lines(raw)[99] == '{"line":"99"}' and lines(out) == [str(n) for n in range(100)]
    assert worker.stop() == 0


def test_options_of_kafka_connectors_are_shown(worker):
    shown = worker.get("/api/v1/connector-plugins").text
    assert FILE_SOURCE in shown and TICK in shown and "3.9.1" in shown
    options = {o["name"]: o for o in worker.get(
        f"/api/v1/connector-plugins/{FILE_SOURCE}/config").json}
    assert options["topic"]["required"] and options["batch.size"]["default_value"] == "2000"


def test_a_bad_configuration_is_refused_with_the_connectors_words(worker):
    answer = worker.create("bad", connector__class=TICK, connect__topicname="t", count="-1")
    assert answer.status == 400 and "count has to be" in answer.text
    answer = worker.create("bad", connector__class=FILE_SOURCE, file="/x")
    assert answer.status == 400 and "topic" in answer.text


@pytest.mark.parametrize("fault,said", [("poll-throw", "the tick is broken"),
                                        ("poll-exit", "exit status 7"),
                                        ("poll-segv", "killed by signal 6"),
                                        ("poll-garbage", "protocol error: "),
                                        ("poll-heap", "exit status 3")])
def test_faults_stay_with_their_connector(worker, tmp_path, fault, said):
    out = tmp_path / "out.txt"
    create(worker, "good", connector__class=TICK, connect__topicname="t", count=5000)
    create(worker, "out", connector__class=NATIVE_SINK, connect__topicnames="t", filename=out)
    create(worker, "bad", connector__class=TICK, connect__topicname="b", count=5, fault=fault)
    wait_until("the reason", lambda: said in worker.said, 60)
    wait_until("all lines", lambda: len(lines(out)) == 5000, 60)
    assert worker.get("/health").status == 200
    assert worker.stop() == 0


def test_a_poll_that_blocks_is_ended_by_its_limit(make_worker, tmp_path):
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    shutil.copy(EXAMPLE, plugins)
    # The next host may be in its first poll when the worker ends: that one is killed by its stop.
    worker = make_worker(pluginPaths=plugins, **{**QUICK, "host.poll.timeout": "1s",
                                                 "host.stop.timeout": "2s"}).start()
    create(worker, "stuck", connector__class=TICK, connect__topicname="b", count=5,
           fault="poll-deadlock")
    wait_until("the limit", lambda: "poll" in worker.said and "killed" in worker.said, 60)
    assert worker.get("/health").status == 200
    assert worker.stop() == 0
