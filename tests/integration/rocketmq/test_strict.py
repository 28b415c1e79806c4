# SPDX-License-Identifier: Apache-2.0
"""Topics with barriers: what strict writers leave in them, and what sinks and the replicator make of
it, over restarts."""
import cluster
import stored

BYTES = "org.apache.rocketmq.connect.runtime.converter.record.ByteArrayConverter"
WRITER, LAST = "00c0ffee00c0ffee", 999999999999999


def put(rmq, topic, body, generation, sequence, tags="data"):
    """One message as a strict writer's, into queue 0."""
    stamp = f"{generation}.{sequence:015d}.{WRITER}"
    rmq.call("broker-0", 310, {
        "a": "by-hand", "b": topic, "c": "TBW102", "d": 4, "e": 0, "f": 0, "g": 1700000000000,
        "h": 0, "i": f"TAGS\x01{tags}\x02__rc.gen\x01{stamp}\x02", "j": 0, "m": "false"},
        body.encode())


def put_barrier(rmq, topic, generation, sequence=LAST):
    put(rmq, topic, "a barrier", generation, sequence, "rc-barrier")


def first_half(rmq, topic):
    put(rmq, topic, "one", 5, 1000)
    put_barrier(rmq, topic, 5)
    put(rmq, topic, "late two", 5, 2000)
    put(rmq, topic, "two", 6, 1000)


def second_half(rmq, topic):
    """All that makes its first message void lies before a reader that has read the first half."""
    put(rmq, topic, "late three", 5, 3000)
    put(rmq, topic, "three", 6, 2000)
    put_barrier(rmq, topic, 6, 3001)
    put(rmq, topic, "late four", 6, 3000)
    put(rmq, topic, "four", 6, 3001)
    put_barrier(rmq, topic, 6)


def test_a_sink_sees_each_record_once(rocketmq, make_worker, unique, tmp_path):
    rmq = rocketmq()
    topic, out = rmq.create_topic(unique(), queues=1), tmp_path / "out.txt"
    first_half(rmq, topic)
    worker = make_worker(namesrvAddr=rmq.namesrv, offsetCommitIntervalMsConfig=200).start()
    sink = unique("snk")
    worker.create(sink, connector__class="file-sink", filename=str(out),
                  connect__topicnames=topic).body
    cluster.wait_for("the first half", lambda: out.exists() and out.read_bytes() == b"one\ntwo\n")
    group = f"connect-{sink}"
    cluster.wait_for("its commit", lambda: sum(rmq.committed(group, topic).values()) == 4)
    worker.kill()
    second_half(rmq, topic)
    worker.start()
    # The last message is a barrier: it is read, too, and shown as no lag.
    cluster.wait_for("all", lambda: sum(rmq.committed(group, topic).values()) == 10)
    assert out.read_bytes() == b"one\ntwo\nthree\nfour\n"


def test_the_replicator_copies_each_record_once(rocketmq, make_worker, unique):
    rmq = rocketmq()
    source, copy = rmq.create_topic(unique(), queues=1), rmq.create_topic(unique(), queues=1)
    first_half(rmq, source)
    worker = make_worker(namesrvAddr=rmq.namesrv, offsetCommitIntervalMsConfig=200).start()
    name = unique("rep")
    # With a tag filter the broker hides what other writers have; barriers are asked for by name.
    worker.create(name, connector__class="replicator", src__endpoint=rmq.namesrv,
                  src__topictags=f"{source},data", dest__topic=copy).body
    cluster.wait_for("the first half", lambda: rmq.count(copy) == 2)
    cluster.wait_for("its position", lambda: '"queueOffset":4' in worker.get(
        f"/api/v1/connectors/{name}/offsets").text.replace(" ", ""))
    worker.kill()
    second_half(rmq, source)
    worker.start()
    cluster.wait_for("all", lambda: rmq.count(copy) >= 4)
    found = stored.messages(rmq, copy)
    assert [m.body for m in found] == [b"one", b"two", b"three", b"four"]
    for m in found:  # the source's stamps are the source's
        assert WRITER.encode() not in m.properties


def test_a_strict_source_takes_over_with_barriers(rocketmq, make_worker, unique, tmp_path):
    rmq = rocketmq()
    topic, lines = unique(), tmp_path / "in.txt"
    text = b"".join(b"%06d a line\n" % i for i in range(20000))
    lines.write_bytes(text)
    worker = make_worker(namesrvAddr=rmq.namesrv).start()
    worker.create(unique("src"), connector__class="file-source", filename=str(lines),
                  connect__topicname=topic, exactly__once__support="strict",
                  batch__records__max=100).body
    cluster.wait_for("some lines", lambda: rmq.count(topic) > 500)
    worker.kill()
    worker.start()
    out = tmp_path / "out.txt"
    worker.create(unique("snk"), connector__class="file-sink", filename=str(out),
                  connect__topicnames=topic).body
    cluster.wait_for("all lines", lambda: out.exists() and len(out.read_bytes()) >= len(text), 60)
    assert sorted(out.read_bytes().splitlines()) == text.splitlines()
    barriers = [m for m in stored.messages(rmq, topic)
                if stored.properties(m.properties).get(b"TAGS") == b"rc-barrier"]
    assert barriers, "the second worker has closed what the first one wrote to"
    assert all(b"exactly.once.support=strict" in m.body for m in barriers)
