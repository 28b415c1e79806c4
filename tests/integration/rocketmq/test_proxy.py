# SPDX-License-Identifier: Apache-2.0
"""Through the remoting port of a RocketMQ 5 proxy, which is given as the name server."""
import client_kit as kit
import cluster
import pytest

FILE_SOURCE, FILE_SINK = "file-source", "file-sink"
POSITIONS, INTERNAL = "connector-position-topic", "rocketmq-connect-internal"


@pytest.fixture
def rmq(rocketmq):
    return rocketmq(proxy=True, brokers=2)


def proxy(rmq):
    return f"127.0.0.1:{rmq.port + 4}"


def create_group(rmq, group):
    kit.peer(rmq, "admin", call="createGroup", group=group)


def test_client(rmq, unique):
    topic, group = rmq.create_topic(queues=4), unique("G")
    create_group(rmq, group)
    through = dict(namesrv=proxy(rmq), topic=topic)
    sent = kit.total(kit.peer(rmq, "send", count=2000, keyed=10, size=100, quiet=True, **through))
    assert (sent["sent"], sent["failed"]) == (2000, 0)
    single = kit.peer(rmq, "send", count=8, text="one {i}", batchCount=1, tags="A", **through)
    assert kit.total(single)["sent"] == 8
    read = kit.total(kit.peer(rmq, "consume", assigned=True, count=2008, idle=20000, quiet=True,
                              from_="first", **through))
    assert (read["count"], read["offsetsBack"]) == (2008, 0)
    tagged = kit.total(kit.peer(rmq, "consume", group=group, tags="A", count=8, idle=20000,
                                quiet=True, balance=500, **through))
    assert tagged["count"] == 8
    cluster.wait_for("the group's offsets", lambda: sum(rmq.committed(group, topic).values()) > 0)


def test_worker_killed_on_the_way(rmq, make_worker, tmp_path, unique):
    topic, source, sink = rmq.create_topic(queues=4), unique("src"), unique("snk")
    if not rmq.route(POSITIONS):
        rmq.create_topic(POSITIONS, queues=1)
    for group in (INTERNAL, f"connect-{sink}"):
        create_group(rmq, group)  # a proxy makes neither topics nor groups
    lines = [b"%06d\n" % i for i in range(30000)]
    (tmp_path / "in.txt").write_bytes(b"".join(lines[:20000]))
    out = tmp_path / "out.txt"
    worker = make_worker(namesrvAddr=proxy(rmq)).start()
    worker.create(source, connector__class=FILE_SOURCE, filename=str(tmp_path / "in.txt"),
                  connect__topicname=topic, exactly__once__support="required").body
    worker.create(sink, connector__class=FILE_SINK, filename=str(out), connect__topicnames=topic).body
    cluster.wait_for("some output", lambda: out.exists() and out.stat().st_size > 10000)
    worker.kill()
    with open(tmp_path / "in.txt", "ab") as more:
        more.write(b"".join(lines[20000:]))
    worker.start()
    cluster.wait_for("all of it", lambda: out.stat().st_size >= 7 * len(lines), 60)
    assert sorted(out.read_bytes().splitlines(True)) == lines


def test_a_topic_that_is_missing(rmq, make_worker, tmp_path, unique):
    topic, source = unique(), unique("src")
    if not rmq.route(POSITIONS):
        rmq.create_topic(POSITIONS, queues=1)
    create_group(rmq, INTERNAL)
    (tmp_path / "in.txt").write_bytes(b"a line\n")
    worker = make_worker(namesrvAddr=proxy(rmq), **{"task.restart.delay.max": "1s"}).start()
    worker.create(source, connector__class=FILE_SOURCE, filename=str(tmp_path / "in.txt"),
                  connect__topicname=topic).body
    # When the topic is there the task goes on; but a proxy remembers for minutes that it is not.
    cluster.wait_for("it to miss the topic", lambda: any(
        t["state"] == "RESTARTING" and topic in t["trace"]
        for t in worker.status(source).get("tasks", [])))
