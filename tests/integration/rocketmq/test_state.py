# SPDX-License-Identifier: Apache-2.0
"""The state that workers share, on real servers: several topic stores as processes of their own."""
import base64
import collections
import json
import os
import stat
import subprocess

import client_kit
import cluster
import pytest
import state_kit
import stored

BOTH = pytest.mark.parametrize("version", cluster.VERSIONS)
PROGRAM = client_kit.build() / "rocketmq-connect"
CLASS = {"connector.class": "file-source"}
Names = collections.namedtuple("Names", "config status")


@pytest.fixture
def names(unique):
    return Names(unique("config"), unique("status"))


@pytest.fixture
def peers(names):
    """peer(rmq, worker, ...): a store, closed with the test."""
    made = []

    def get(rmq, worker, snapshot=None, create=True, expect=None):
        one = state_kit.StatePeer(rmq, names.config, names.status, worker, snapshot, create)
        made.append(one)
        if expect is None:
            assert one.failed is None
        else:
            assert expect in one.failed
        return one

    yield get
    for one in made:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()


def cli(rmq, names, *words, expect=0):
    """`rocketmq-connect cluster ...` on these topics; what it printed."""
    done = subprocess.run(
        [PROGRAM, "cluster", *map(str, words), "--set", f"configStoreTopic={names.config}", "--set",
         f"connectStatusTopic={names.status}"], env=dict(os.environ, NAMESRV_ADDR=rmq.namesrv),
        capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stdout if expect == 0 else done.stderr


def known(peer):
    """What counts: without the times that go up when a record is written again."""
    return {name: {k: v for k, v in c.items() if k not in ("epoch", "changed")}
            for name, c in peer.connectors(deleted=True).items()}


def delete_topic(rmq, topic):
    rmq.mqadmin("deleteTopic", "-n", rmq.namesrv, "-t", topic, "-c", "DefaultCluster")
    cluster.wait_for(f"{topic} to be gone", lambda: rmq.route(topic) == [])


@BOTH
def test_workers_see_each_other(rocketmq, peers, version):
    rmq = rocketmq(version)
    a, b = peers(rmq, "w1"), peers(rmq, "w2")
    assert a.put("c", 0, filename="x", **CLASS)["version"] == 1
    cluster.wait_for("b to see it", lambda: "c" in b.connectors())
    assert b.changes > 0
    assert b.put("c", 1, filename="y")["version"] == 2
    cluster.wait_for("a to see it", lambda: a.connectors()["c"]["config"] == {"filename": "y"})
    assert b.target("c", "STOPPED")["result"] == 0
    cluster.wait_for("a to see it", lambda: a.connectors()["c"]["target"] == "STOPPED")
    assert a.tasks("c", 1, 2, 7, 3)["result"] == 0
    late = b.tasks("c", 1, 2, 6, 3)
    assert late["result"] < 0 and "generation 6.0 has come too late" in late["error"]
    a.tell("state", "c", 1, "FAILED", "STUCK", 7)
    cluster.wait_for("b to see it", lambda: b.states().get(("c", 1), {}).get("state") == "STUCK")
    assert b.states()[("c", 1)]["java"] == "FAILED"
    assert b.delete("c")["result"] == 0
    cluster.wait_for("a to see it", lambda: a.connectors() == {})
    assert a.target("c", "PAUSED")["result"] < 0
    again = a.put("c", 0, filename="z")
    assert (again["version"], again["incarnation"] > 1) == (4, True)


@BOTH
def test_of_two_writers_one_wins(rocketmq, peers, version):
    rmq = rocketmq(version)
    stores = [peers(rmq, f"w{i}") for i in range(3)]
    assert stores[0].put("c", 0, n=0)["version"] == 1
    for at in range(1, 16):
        for one in stores:
            cluster.wait_for("all are up to date",
                             lambda one=one: one.connectors().get("c", {}).get("version") == at)
        asked = [(one, one.ask("put", "c", at, f"n={at}.{i}")) for i, one in enumerate(stores)]
        answers = [one.answer(number) for one, number in asked]
        won = [i for i, answer in enumerate(answers) if answer["result"] == 0]
        assert len(won) == 1, answers
        lost = next(a for a in answers if a["result"] < 0)
        assert f"at version {at + 1}, version {at} was expected" in lost["error"]
        for one in stores:
            cluster.wait_for("all have the winner's", lambda one=one: one.connectors()["c"]["config"]
                             == {"n": f"{at}.{won[0]}"})
    # Writes that do not name a version are tried again until all are in.
    asked = [(one, one.ask("put", "c", -1, f"n={i}")) for i, one in enumerate(stores * 5)]
    assert sorted(one.answer(number)["version"] for one, number in asked) == list(range(17, 32))


@BOTH
def test_restart_with_and_without_file(rocketmq, peers, tmp_path, version):
    rmq = rocketmq(version)
    file = tmp_path / "state.json"
    a = peers(rmq, "w1", file)
    for i in range(20):
        assert a.put(f"c{i}", 0, n=i, password="secret")["result"] == 0
    a.target("c1", "PAUSED")
    a.delete("c2")
    a.tasks("c3", 1, 1, 4, 2)
    want = a.connectors(deleted=True)
    a.close()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert peers(rmq, "w1", file).connectors(deleted=True) == want
    assert peers(rmq, "w2").connectors(deleted=True) == want


@BOTH
def test_kill_loses_no_answer(rocketmq, peers, version):
    rmq = rocketmq(version)
    a = peers(rmq, "w1")
    asked = [a.ask("put", f"c{i}", 0, f"n={i}") for i in range(300)]
    a.answer(asked[100])
    a.kill()
    answered = [number for number in asked if number in a.answers]
    there = peers(rmq, "w2").connectors()
    assert [n for n in answered if f"c{n - 1}" not in there] == []


@BOTH
def test_broker_restart(rocketmq, peers, version):
    """Nothing is lost, a write waits for the broker, and what a store knows stays true."""
    rmq = rocketmq(version, own=True)
    a, b = peers(rmq, "w1"), peers(rmq, "w2")
    for i in range(50):
        assert a.put(f"c{i % 10}", -1, n=i)["result"] == 0
    rmq.kill("broker-0")
    number = a.ask("put", "late", 0, "n=1")
    rmq.start("broker-0")
    answer = a.answer(number, 60)
    assert answer["result"] == 0 or answer["error"], answer  # not confirmed in time: says so
    assert cluster.wait_for("a write", lambda: a.put("after", -1, n=2)["result"] == 0, 60)
    cluster.wait_for("b to see it", lambda: "after" in b.connectors(), 60)
    fresh = peers(rmq, "w3").connectors()
    assert {name: fresh[name]["config"]["n"] for name in fresh if name.startswith("c")} == {
        f"c{i}": str(40 + i) for i in range(10)}
    assert fresh == a.connectors() == b.connectors()


@BOTH
def test_deleted_topic_is_an_error(rocketmq, peers, names, tmp_path, version):
    rmq = rocketmq(version)
    file = tmp_path / "state.json"
    a = peers(rmq, "w1", file)
    assert a.put("c", 0, n=1)["result"] == 0
    assert a.put("gone", 0, n=1)["result"] == 0
    assert a.delete("gone")["result"] == 0
    want = a.connectors(deleted=True)
    a.close()
    delete_topic(rmq, names.config)
    peers(rmq, "w1", file, expect="does not exist, but")
    peers(rmq, "w2", expect="its broker is not up yet, or it was deleted")
    assert rmq.route(names.config) == []
    cli(rmq, names, "import", file)
    assert {k: v["config"] for k, v in peers(rmq, "w2").connectors().items()} == {"c": {"n": "1"}}
    assert peers(rmq, "w2").connectors(deleted=True).keys() == want.keys()
    peers(rmq, "w1", file, expect="the topic was made anew")


@BOTH
def test_topic_deleted_while_running(rocketmq, peers, names, version):
    rmq = rocketmq(version)
    a = peers(rmq, "w1")
    assert a.put("c", 0, n=1)["result"] == 0
    delete_topic(rmq, names.config)
    cluster.wait_for("it is noticed", lambda: "cannot be read any more" in a.get("health"), 60)
    refused = a.put("d", 0, n=1)
    assert refused["result"] < 0 and "cluster import" in refused["error"]
    assert "c" in a.connectors()


@BOTH
def test_no_topic_is_made_unless_allowed(rocketmq, peers, names, version):
    rmq = rocketmq(version)
    peers(rmq, "w1", create=False, expect="create it with 1 queue")
    assert rmq.route(names.config) == []


@BOTH
def test_old_records_are_written_again(rocketmq, peers, names, version):
    rmq = rocketmq(version)
    a = peers(rmq, "w1")
    a.put("c", 0, n=1)
    a.put("gone", 0, n=1)
    a.delete("gone")
    a.tasks("c", 1, 1, 3, 1)
    before = len(list(stored.messages(rmq, names.config)))
    a.tell("keep", 3600 * 1000)
    a.connectors()
    assert len(list(stored.messages(rmq, names.config))) == before
    a.tell("keep", 13 * 3600 * 1000)
    want = known(a)
    written = [stored.properties(m.properties)
               for m in list(stored.messages(rmq, names.config))[before:]]
    assert sorted(base64.b64decode(p[b"KEYS"]).decode() for p in written) == [
        "connector-c", "target-state-gone", "tasks-c"]
    assert all(p[b"__rc.rank"].endswith(b"+") for p in written)
    assert known(peers(rmq, "w2")) == want


def test_topics_on_several_brokers(rocketmq, peers, names):
    """Ours has one queue at one broker. Of Java's, with a queue at each, one is written to."""
    rmq = rocketmq("5.5.0", brokers=2)
    a = peers(rmq, "w1")
    assert a.put("c", 0, n=1)["result"] == 0
    assert [q["brokerName"] for q in rmq.route(names.config)] == ["broker-0"]
    assert len(rmq.route(names.status)) == 2
    for i in range(8):
        a.tell("state", f"s{i}", 0, "RUNNING", "-", 1)
    b = peers(rmq, "w2")
    cluster.wait_for("all states", lambda: len(b.states()) == 8)


def test_java_topic_with_a_queue_at_each_broker(rocketmq, peers, names):
    rmq = rocketmq("5.5.0", brokers=2)
    for topic in names:
        rmq.create_topic(topic, queues=1)
    a, b = peers(rmq, "w1"), peers(rmq, "w2")
    for i in range(10):
        assert (a if i % 2 else b).put("c", -1, n=i)["result"] == 0
        assert a.put(f"d{i}", 0, n=i)["result"] == 0
    queues = {(m.broker, m.queue) for m in stored.messages(rmq, names.config)}
    assert len(queues) == 1
    assert peers(rmq, "w3").connectors() == a.connectors()


@BOTH
def test_export_and_import(rocketmq, peers, names, tmp_path, version):
    rmq = rocketmq(version)
    a = peers(rmq, "w1")
    a.put("c", 0, filename="x", **CLASS, **{"my.password": "tell-nobody"})
    shown = cli(rmq, names, "export")
    assert "tell-nobody" not in shown
    assert json.loads(shown)["connectors"][0]["config"]["my.password"] == "******"
    file = tmp_path / "all.json"
    cli(rmq, names, "export", "--out", file, "--with-secrets")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "tell-nobody" in file.read_text()
    masked = json.loads(shown)
    masked["connectors"][0]["config"]["filename"] = "y"
    other = tmp_path / "masked.json"
    other.write_text(json.dumps(masked))
    assert "is left so" in cli(rmq, names, "import", other, expect=6)
    cli(rmq, names, "import", other, "--overwrite")
    cluster.wait_for("a to see it", lambda: a.connectors()["c"]["config"] == {
        **CLASS, "filename": "y", "my.password": "tell-nobody"})
    masked["connectors"][0]["name"] = "new"
    other.write_text(json.dumps(masked))
    assert "lacks its secrets" in cli(rmq, names, "import", other, expect=3)
    assert "new" not in a.connectors()


def test_compacted_topic(rocketmq, peers, names):
    """The broker keeps the newest record of each key; who reads what is left knows the same."""
    rmq = rocketmq("5.5.0", own=True, sets=("compactionScheduleInternal=1000",
                                            "compactionMappedFileSize=65536",
                                            "compactionCqMappedFileSize=10240"))
    a, b = peers(rmq, "w1"), peers(rmq, "w2")
    asked = [(one, one.ask("put", f"c{i % 5}", -1, f"n={i}", "pad=" + "x" * 900))
             for i in range(100) for one in (a, b)]
    # A record that was compacted away before its writer has read it back is not confirmed in
    # time (ETIMEDOUT); this broker compacts every second.
    assert {one.answer(number, 120)["result"] for one, number in asked} <= {0, -5}
    a.delete("c4")
    cluster.wait_for("b to see it", lambda: "c4" not in b.connectors())
    cluster.wait_for("the broker to compact", lambda: len(list(
        stored.messages(rmq, names.config))) < 150, 60)
    c = peers(rmq, "w3")
    # What was void has spoiled records, which are still being written again.
    cluster.wait_for("all to know the same", lambda: known(c) == known(a) == known(b))
    assert a.put("c1", -1, n="after")["result"] == 0
