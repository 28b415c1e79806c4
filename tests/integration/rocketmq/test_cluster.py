# SPDX-License-Identifier: Apache-2.0
"""The harness itself: servers start, Java sends and reads, faults happen when they are told to."""
import struct
import time

import cluster
import pytest


@pytest.fixture(params=cluster.VERSIONS)
def rmq(request, rocketmq):
    return rocketmq(request.param)


def test_what_java_sends_java_reads(rmq, java, unique):
    topic = rmq.create_topic(unique(), queues=2)
    peer = java(rmq)
    text = "ünï\u0003 漢"
    peer.send(topic, queue=1, text=text, keys="k1", tags="A", props={"x": "a\tb ✓"})
    peer.send(topic, queue=0, size=5000, count=4, batch=2, keys="b{i}")
    peer.send(topic, queue=0, size=0x11000, compress="ZLIB", keys="big")

    read = peer.dump(topic)
    assert [(m["queue"], m["offset"]) for m in read] == [(0, i) for i in range(5)] + [(1, 0)]
    assert [m["keys"] for m in read] == ["b0", "b1", "b2", "b3", "big", "k1"]
    assert [m["body"] for m in read[:4]] == [cluster.pattern(i, 5000) for i in range(4)]
    assert read[4]["body"] == cluster.pattern(0, 0x11000)
    # 5.x clears the bit of compression when it has unpacked the body, and leaves the method.
    assert read[4]["sysFlag"] & ~1 == 0x300
    assert read[5]["body"].decode() == text
    assert (read[5]["tags"], read[5]["props"]["x"]) == ("A", "a\tb ✓")
    assert rmq.count(topic) == 6
    assert rmq.offsets(topic) == {("broker-0", 0): (0, 5), ("broker-0", 1): (0, 1)}


def test_a_consumer_takes_all_and_commits(rmq, java, unique):
    topic, group = rmq.create_topic(unique(), queues=2), unique("G")
    peer = java(rmq)
    peer.send(topic, text="{i}", count=20)
    consumer = peer.consume(topic, group)
    bodies = {m["body"] for m in consumer.wait_messages(20)}
    assert bodies == {str(i).encode() for i in range(20)}
    cluster.wait_for("both queues", lambda: consumer.queues == {(topic, "broker-0", 0),
                                                                (topic, "broker-0", 1)})
    consumer.stop()
    assert sum(rmq.committed(group, topic).values()) == 20


def test_clients_of_the_relayed_name_server_meet_its_faults(rmq, unique, tmp_path):
    topic = rmq.create_topic(unique(), queues=1)
    with rmq.relay(record=tmp_path / "frames") as relay:
        peer = rmq.peer(namesrv=relay.namesrv)
        peer.send(topic, text="one")
        broker = rmq.address()
        assert relay.do("stats")[broker]["to_server"] > 0, "routes lead through the relay"

        # The broker has each of these, but its first answer to every send is lost.
        relay.do("swallow every=1 codes=310")
        lost = peer.do("send", topic=topic, text="two", timeout=1000, retries=0, group="G2")
        assert lost[0]["event"] == "error", lost
        assert relay.do("clear")[broker]["swallowed"] >= 1
        assert rmq.count(topic) == 2

        relay.do("freeze")
        number = peer.start("send", topic=topic, text="three", timeout=20000)
        with pytest.raises(cluster.Trouble):
            peer.wait("an answer", lambda _: peer.of(number), 0.3)
        relay.do("thaw")
        peer.wait("the answer", lambda _: any(e["event"] == "done" for e in peer.of(number)))
        assert peer.of(number)[0]["event"] == "sent"

        relay.do(f"cut every=1 pair={broker}")
        assert peer.do("send", topic=topic, text="four", timeout=2000,
                       retries=0, group="G2")[0]["event"] == "error"
        assert relay.do("clear")[broker]["cuts"] >= 1
        peer.send(topic, text="five")
        peer.close(kill=True)
    raw = (tmp_path / "frames").read_bytes()
    at = count = 0
    while at < len(raw):
        direction, size, total = struct.unpack_from(">BII", raw, at)
        assert direction in (0, 1) and size == total + 4
        at += 5 + size
        count += 1
    assert at == len(raw) and count > 10


def test_routes_are_rewritten_in_every_form(rmq, unique):
    topic = rmq.create_topic(unique(), queues=1)
    with rmq.relay() as relay:
        asked = [(105, {"topic": topic}, 513), (105, {"topic": topic}, 300), (106, {}, 513)]
        for code, fields, version in asked:  # old clients and 106 get numbers as keys without quotes
            straight = cluster.request(rmq.port, code, fields, version=version)
            relayed = cluster.request(relay.ports["namesrv"], code, fields, version=version)
            port = relay.do("stats")[rmq.address()]["port"]
            assert rmq.address().encode() in straight[1]
            assert relayed[1] == straight[1].replace(rmq.address().encode(),
                                                     b"127.0.0.1:%d" % port)
        assert b'{0:"' in straight[1]

        relay.do("down")
        with pytest.raises(OSError):
            cluster.request(port, 30, {"topic": topic, "queueId": 0})
        relay.do("up")
        assert cluster.request(port, 30, {"topic": topic, "queueId": 0})[0]["code"] == 0
        assert relay.said() == ""


def test_a_delay_keeps_the_order(rocketmq, java, unique):
    rmq = rocketmq("4.9.7")
    topic = rmq.create_topic(unique(), queues=1)
    with rmq.relay() as relay:
        relay.do("delay ms=100")
        peer = rmq.peer(namesrv=relay.namesrv)
        began = time.monotonic()
        peer.send(topic, text="{i}", count=3)
        assert time.monotonic() - began >= 0.6, "there and back, three times"
        relay.do("delay ms=0")
        peer.send(topic, text="last")
        peer.close(kill=True)
    assert [m["body"] for m in java(rmq).dump(topic)] == [b"0", b"1", b"2", b"last"]


def test_servers_that_die_and_hang(rocketmq, unique):
    rmq = rocketmq("4.9.7", own=True, brokers=2)
    topic = rmq.create_topic(unique(), queues=1)
    assert len(rmq.route(topic)) == 2
    peer = rmq.peer()
    rmq.kill("broker-1")
    cluster.wait_for("the route without the dead broker", lambda: len(rmq.route(topic)) == 1)
    rmq.freeze("broker-0")
    hung = peer.do("send", topic=topic, text="x", timeout=500, retries=0)
    assert hung[0]["event"] == "error", hung
    rmq.thaw("broker-0")
    rmq.start("broker-1")
    assert len(cluster.wait_for("both brokers", lambda: (r := rmq.route(topic)) and len(r) == 2
                                and r)) == 2
    assert len(peer.send(topic, text="{i}", count=4)) == 4


def test_acl_lets_in_who_signs(rocketmq, unique):
    rmq = rocketmq(own=True, acl="testadmin:testsecret")
    topic = rmq.create_topic(unique(), queues=1)
    assert len(rmq.peer().send(topic, text="signed")) == 1
    refused = rmq.peer(acl=None).do("send", topic=topic, text="x", retries=0)
    assert (refused[0]["event"], refused[0].get("code")) == ("error", 16), refused


def test_tls(rocketmq, unique):
    rmq = rocketmq("4.9.7", own=True, tls="enforcing")
    topic = rmq.create_topic(unique(), queues=1)
    assert len(rmq.peer().send(topic, text="over TLS")) == 1
    assert rmq.count(topic) == 1
    assert rmq.ca.exists()
