# SPDX-License-Identifier: Apache-2.0
"""A host in Node that was written from docs/host-protocol.md alone: tests/hosts/node."""
import json
import os
import shutil
import signal

import pytest
from conftest import ROOT, wait_until
from hosts.test_java_worker import java_hosts as children
from hosts.test_java_worker import lines

pytestmark = pytest.mark.skipif(not shutil.which("node"), reason="there is no node")
HOST = ROOT / "tests/hosts/node/host.js"


@pytest.fixture
def worker(make_worker, tmp_path):
    place = tmp_path / "plugins/node"
    place.mkdir(parents=True)
    (place / "connector.json").write_text(
        json.dumps({"name": "node", "command": [str(HOST)], "protocol": [1]}))
    return make_worker(pluginPaths=place.parent, **{
        "task.restart.delay": "20ms", "host.crashes.max": "-1"}).start()


def create(worker, name, **keys):
    answer = worker.create(name, **{k: str(v) for k, v in keys.items()})
    assert answer.status == 200, answer


def test_lines_of_a_file_through_a_source_and_a_sink(worker, tmp_path):
    source, out = tmp_path / "in.txt", tmp_path / "out.txt"
    source.write_text("".join(f"line {n} \u00e4\u4e2d\n" for n in range(20000)))
    create(worker, "out", connector__class="node.LineSink", connect__topicnames="t", file=out)
    create(worker, "in", connector__class="node.LineSource", connect__topicname="t", file=source)
    wait_until("all lines", lambda: len(lines(out)) >= 20000, 60)
    worker.wait_state("in", "FINISHED")
    assert out.read_bytes() == source.read_bytes()
    # The position is where the source ended: what it gives again after a restart is nothing.
    assert worker.request("POST", "/api/v1/connectors/in/restart?includeTasks=true").status < 300
    worker.wait_state("in", "FINISHED")
    assert out.read_bytes() == source.read_bytes()
    assert worker.stop() == 0


def test_nothing_is_lost_when_its_hosts_are_killed(worker, tmp_path):
    source, out, count = tmp_path / "in.txt", tmp_path / "out.txt", 200000
    source.write_text("".join(f"{n}\n" for n in range(count)))
    create(worker, "out", connector__class="node.LineSink", connect__topicnames="t", file=out)
    create(worker, "in", connector__class="node.LineSource", connect__topicname="t", file=source)
    for _ in range(2):
        seen = len(lines(out))
        wait_until("more lines", lambda: len(lines(out)) > min(seen + 500, count - 1), 60)
        for pid in children(worker):
            os.kill(pid, signal.SIGKILL)
    wait_until("all lines", lambda: len(set(lines(out))) >= count, 120)
    assert list(dict.fromkeys(lines(out))) == [str(n) for n in range(count)]


def test_its_options_and_its_checks_are_a_users(worker):
    shown = {o["name"]: o for o in worker.get(
        "/api/v1/connector-plugins/node.LineSource/config").json}
    assert shown["file"]["required"] and shown["follow"]["default_value"] == "false"
    answer = worker.create("x", connector__class="node.LineSource", connect__topicname="t",
                           file="/no/such/file")
    assert answer.status == 400 and "cannot be read: ENOENT" in answer.text
