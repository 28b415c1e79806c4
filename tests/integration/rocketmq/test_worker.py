# SPDX-License-Identifier: Apache-2.0
"""The worker on a real RocketMQ: files in, files out, and what Java's tools and workers see of it."""
import base64
import json

import cluster
import pytest

FILE_SOURCE = "org.apache.rocketmq.connect.file.FileSourceConnector"
FILE_SINK = "org.apache.rocketmq.connect.file.FileSinkConnector"
POSITIONS = "connector-position-topic"
USER, SECRET = "worker1", "s3cretOfWorker1"


def lines(count, first=0):
    return b"".join(b"%08d line of a file \xc3\xbc\n" % i for i in range(first, first + count))


def read(path):
    return path.read_bytes() if path.exists() else b""


class Attached:
    """Our worker on a cluster, with files of its own."""

    def __init__(self, make_worker, rmq, folder, topic, namesrv=None, **keys):
        self.rmq, self.topic = rmq, topic
        self.input, self.output = folder / "in.txt", folder / "out.txt"
        self.input.touch()
        if rmq.acl and "accessKey" not in keys:
            key, secret = rmq.acl.split(":")
            keys.update(aclEnable="true", accessKey=key, secretKey=secret)
        if rmq.tls:
            keys.update({"tls.enable": "true", "tls.client.trustCertPath": str(rmq.ca)})
        self.worker = make_worker(namesrvAddr=namesrv or rmq.namesrv, **keys)

    def start(self):
        self.worker.start()
        return self

    def source(self, name, **more):
        self.worker.create(name, connector__class=FILE_SOURCE, filename=str(self.input),
                           connect__topicname=self.topic, **more).body

    def sink(self, name, **more):
        self.worker.create(name, connector__class=FILE_SINK, filename=str(self.output),
                           connect__topicnames=self.topic, **more).body

    def write(self, data):
        with open(self.input, "ab") as out:
            out.write(data)

    def wait_copied(self, seconds=None):
        """Until the output is as long as the input; both must be the same then."""
        wanted = read(self.input)
        cluster.wait_for(f"{len(wanted)} bytes in the sink's file",
                         lambda: self.output.exists() and
                         self.output.stat().st_size >= len(wanted), seconds or 60)
        assert read(self.output) == wanted

    def task(self, name):
        tasks = self.worker.status(name)["tasks"]
        return tasks[0] if tasks else {}


@pytest.fixture
def attached(make_worker, tmp_path, unique):
    """attached(cluster, topic=None, **worker's keys): not yet started."""
    count = 0

    def make(rmq, topic=None, **keys):
        nonlocal count
        count += 1
        folder = tmp_path / f"files{count}"
        folder.mkdir()
        return Attached(make_worker, rmq, folder, topic or unique(), **keys)
    return make


def keys_of(message):
    """What a record of the position topic is about."""
    return json.loads(base64.b64decode(message["keys"]))


def positions(peer, connector):
    """(partition, offset) of a connector's records, oldest first, as the Java runtime reads them."""
    found = []
    for m in peer.dump(POSITIONS):
        key = keys_of(m)
        assert key["schema"] is None and len(key) == 2, key
        if key["payload"][:2] == ["POSITION_CHANG", connector]:
            body = json.loads(m["body"])
            assert body["schema"] is None and len(body) == 2, body
            found.append((key["payload"][2], body["payload"]))
    return found


def committed(rmq, group, topic):
    return sum(offset for offset in rmq.committed(group, topic).values())


@pytest.mark.parametrize("version", cluster.VERSIONS)
def test_from_file_to_rocketmq_to_file_with_kills(rocketmq, java, attached, unique, version):
    rmq = rocketmq(version)
    a = attached(rmq).start()
    source, sink = unique("src"), unique("snk")
    a.write(lines(20000))
    a.source(source, exactly__once__support="required")
    a.sink(sink)
    cluster.wait_for("some of the output", lambda: len(read(a.output)) > 100000)
    a.worker.kill()
    a.write(lines(20000, 20000))
    a.worker.start()
    cluster.wait_for("more of the output", lambda: len(read(a.output)) > 700000, 60)
    a.worker.kill()
    a.worker.start()
    a.wait_copied()

    # The topic was missing: it has as many queues as Java's runtime makes.
    assert [d["writeQueueNums"] for d in rmq.route(a.topic)] == [16]
    assert rmq.count(a.topic) == 40000
    peer = java(rmq)
    partition, offset = cluster.wait_for(
        "the last position", lambda: (p := positions(peer, source)) and
        p[-1][1].get("position") == len(read(a.input)) and p[-1])
    assert partition == {"filename": str(a.input)}, "Java's sample has the same"
    assert set(offset) == {"position", "inode", "fingerprint"}
    if version == "4.9.7":
        return  # its consumerProgress wants a retry topic, which a reader of queues does not make
    # What Java's consumerProgress computes from.
    rows = peer.offsets(a.topic, group=f"connect-{sink}")
    assert all(r["committed"] == r["max"] for r in rows) and len(rows) == 16
    # Written while the sink is not there: the lag.
    a.worker.stop()
    peer.send(a.topic, text="x{i}", count=7)
    rows = peer.offsets(a.topic, group=f"connect-{sink}")
    assert sum(r["max"] - r["committed"] for r in rows) == 7


def java_key(connector, partition):
    text = json.dumps({"schema": None, "payload": ["POSITION_CHANG", connector, partition]},
                      separators=(",", ":"))
    return base64.b64encode(text.encode()).decode()


def test_a_position_of_a_java_worker_is_where_we_go_on(rocketmq, java, attached, unique):
    rmq = rocketmq()
    a = attached(rmq)
    name = unique("src")
    head, rest = lines(100), lines(50, 100)
    a.write(head + rest)
    a.start()  # makes the position topic when this test runs alone
    java(rmq).send(POSITIONS, queue=0, keys=java_key(name, {"filename": str(a.input)}),
                   text='{"schema":null,"payload":{"nextPosition":"%d"}}' % len(head))
    a.source(name)
    a.sink(unique("snk"))
    cluster.wait_for("the rest", lambda: len(read(a.output)) >= len(rest))
    assert read(a.output) == rest
    a.write(lines(10, 150))
    last = cluster.wait_for("our position", lambda: (p := positions(java(rmq), name)) and
                            p[-1][1].get("position") == len(read(a.input)) and p[-1])
    # The same partition as Java's, so that a Java worker goes on there too.
    assert last[0] == {"filename": str(a.input)}
    keys = {m["keys"] for m in java(rmq).dump(POSITIONS) if keys_of(m)["payload"][1] == name}
    assert keys == {java_key(name, {"filename": str(a.input)})}


@pytest.mark.parametrize("version", cluster.VERSIONS)
def test_requests_are_signed(rocketmq, attached, unique, version):
    rmq = rocketmq(version, acl=f"{USER}:{SECRET}")
    a = attached(rmq).start()
    a.write(lines(500))
    a.source(unique("src"))
    a.sink(unique("snk"))
    a.wait_copied()
    assert SECRET not in a.worker.said

    wrong = attached(rmq, aclEnable="true", accessKey=USER, secretKey="wrongSecret77")
    wrong.worker.start(wait=False)
    assert wrong.worker.process.wait(60) != 0
    said = wrong.worker.said
    assert "NO_PERMISSION" in said and "access key, secret key" in said, said
    assert "wrongSecret77" not in said and SECRET not in said
    shown = a.worker.get("/api/v1/worker").text + a.worker.get("/metrics").text
    assert SECRET not in shown


def test_tls_is_enforced(rocketmq, attached, unique):
    rmq = rocketmq(tls="enforcing")
    a = attached(rmq).start()
    a.write(lines(500))
    a.source(unique("src"))
    a.sink(unique("snk"))
    a.wait_copied()

    plain = attached(rmq)
    for key in ("tls.enable", "tls.client.trustCertPath"):
        del plain.worker.keys[key]
    plain.worker.start(wait=False)
    assert plain.worker.process.wait(60) == 4
    assert f"{rmq.namesrv} closed the connection without a word" in plain.worker.said


def test_a_broker_that_is_away(rocketmq, attached, unique):
    rmq = rocketmq(own=True)
    a = attached(rmq, operationTimeout="500").start()
    source, sink = unique("src"), unique("snk")
    a.source(source, exactly__once__support="required")
    a.sink(sink)
    a.write(lines(1000))
    a.wait_copied()
    rmq.kill()
    a.write(lines(1000, 1000))
    stalled = cluster.wait_for("STALLED", lambda: (t := a.task(source)).get("state") == "STALLED"
                               and t)
    text = json.dumps(stalled)
    assert a.topic in text and "broker" in text, text
    rmq.start(only="broker-0")
    a.wait_copied()
    cluster.wait_for("RUNNING", lambda: a.task(source)["state"] == "RUNNING")
    # At the start of the worker.
    a.worker.stop()
    rmq.kill()
    a.write(lines(1000, 2000))
    a.worker.start(wait=False)
    cluster.wait_for("it to wait", lambda: "waiting for RocketMQ" in a.worker.said)
    rmq.start(only="broker-0")
    a.wait_copied()


def test_topics_that_are_not_made(rocketmq, attached, unique):
    rmq = rocketmq()
    if not rmq.route(POSITIONS):  # nobody has made it when this test runs alone
        rmq.create_topic(POSITIONS, queues=1)
    a = attached(rmq, autoCreateTopicEnable="false",
                 **{"task.restart.delay.max": "2s"}).start()
    a.write(lines(10))
    source, sink = unique("src"), unique("snk")
    a.source(source)
    a.sink(sink)
    for name in (source, sink):
        task = cluster.wait_for("a failure", lambda: (t := a.task(name)).get("state") ==
                                "RESTARTING" and t)
        assert "autoCreateTopicEnable" in task["trace"] and "again every 2 s" in task["trace"], task
    rmq.create_topic(a.topic, queues=1)  # nobody has to tell them
    a.wait_copied()
    rmq.delete_topic(a.topic)
    cluster.wait_for("the sink to miss it", lambda: a.task(sink).get("state") == "RESTARTING", 60)


def test_a_topic_on_two_brokers(rocketmq, java, attached, unique):
    rmq = rocketmq(brokers=2)
    a = attached(rmq).start()
    sink = unique("snk")
    a.write(lines(4000))
    a.source(unique("src"), ordering="none", exactly__once__support="required")
    a.sink(sink)
    cluster.wait_for("all lines", lambda: len(read(a.output)) >= len(read(a.input)))
    assert sorted(read(a.output).splitlines()) == read(a.input).splitlines()
    assert [d["writeQueueNums"] for d in rmq.route(a.topic)] == [16, 16]
    ends = rmq.offsets(a.topic)
    assert len(ends) == 32 and all(high == 125 for _, high in ends.values()), ends
    cluster.wait_for("no lag", lambda: committed(rmq, f"connect-{sink}", a.topic) == 4000)


def test_queues_that_are_added_are_read(rocketmq, java, attached, unique):
    rmq = rocketmq()
    a = attached(rmq)
    rmq.create_topic(a.topic, queues=1)
    a.start()
    a.sink(unique("snk"))
    peer = java(rmq)
    peer.send(a.topic, queue=0, text="a")
    cluster.wait_for("the first", lambda: read(a.output) == b"a\n")
    rmq.create_topic(a.topic, queues=3)
    cluster.wait_for("three queues", lambda: rmq.route(a.topic)[0]["writeQueueNums"] == 3)
    peer.send(a.topic, queue=2, text="c")
    cluster.wait_for("what is in a new queue", lambda: read(a.output) == b"a\nc\n", 45)
    peer.send(a.topic, queue=0, text="b")
    cluster.wait_for("the old one too", lambda: read(a.output) == b"a\nc\nb\n")
