#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Records what the Java client and real servers say to each other, frame by frame.

    record.py [--version V] [SCENARIO ...]      default: every scenario with 5.5.0 and 4.9.7

Writes tests/data/frames/VERSION-SCENARIO.frames; README.md there describes format and scenarios.
Every scenario begins with a fresh cluster, a fresh JVM and a relay that keeps a copy of each frame.
"""
import argparse
import pathlib
import struct
import sys

import cluster

OUT = cluster.HERE.parent / "data" / "frames"
ACL_USER = "frameskey:framessecret"
BINARY = ("-Drocketmq.serialize.type=ROCKETMQ",)


def finish(java):
    """Shuts the clients down in order, so that unregistering is recorded too."""
    java.do("close")


def send(rmq, java):
    """Route and sends of every kind."""
    topic = rmq.create_topic("SendTopic", queues=2)
    java.send(topic, text="hello", keys="key1", tags="TagA", queue=0)
    java.send(topic, text="hashed", keys="key2", shard="key2")
    java.send(topic, text="batch {i}", keys="b{i}", tags="TagB", count=3, batch=3, queue=1)
    java.send(topic, size=1, queue=0, flag=7, wait=False)
    java.send(topic, text="oneway", keys="key3", oneway=True)
    java.send(topic, text="later", keys="delayed", delay=1)
    if rmq.version[0] == "5":
        java.send(topic, text="timed", keys="timed", delayMs=1500)
    java.send(topic, text="ünïcödé ✓ 漢字 😀", keys="schlüssel 鍵", tags="Märke", queue=1, props={
        "grün": "größe", "emoji": "😀", "control": "a\tb\nc\u0003d\u001fe\u007f", "quote": "\"\\/",
        "empty": "", "long": "x" * 300})
    for kind in ("ZLIB", "LZ4", "ZSTD"):
        java.send(topic, size=5000, keys=kind, compress=kind, queue=0)
    java.send("AutoTopic", text="created by sending")
    cluster.wait_for("the delayed messages", lambda: rmq.count(topic) >=
                     (13 if rmq.version[0] == "5" else 12))
    assert len(java.dump(topic)) >= 12
    finish(java)


def push(rmq, java):
    """A push consumer: heartbeat, rebalance with a second one, pulls, commits, send back, end."""
    topic = rmq.create_topic("PushTopic", queues=4)
    # A consumer that has to wait for this one looks only every 30 s.
    rmq.create_topic("%RETRY%PushGroup", queues=1)
    java.send(topic, text="message {i}", keys="k{i}", tags="TagA", count=6)
    one = java.consume(topic, "PushGroup", tags="TagA || TagB", refuse=1, refuseKeys=["k1"],
                       refuseDelay=1)
    one.wait_messages(6)  # k1 comes again, from the retry topic
    two = java.consume(topic, "PushGroup", tags="TagA || TagB", refuseKeys=["none"])
    cluster.wait_for("both to have queues", lambda: len(one.queues) == len(two.queues) == 2)
    java.send(topic, text="second {i}", keys="s{i}", tags="TagB", count=4)
    cluster.wait_for("the second messages", lambda: len(one.messages() + two.messages()) >= 10)
    java.admin("runningInfo", group="PushGroup", clientId=one.client_id)
    two.stop()
    cluster.wait_for("one to have all queues", lambda: len(one.queues) == 4)
    one.stop()
    ordered = java.consume(topic, "OrderedGroup", orderly=True)
    ordered.wait_messages(10)
    ordered.stop()
    everyone = java.consume(topic, "BroadcastGroup", model="BROADCASTING")
    everyone.wait_messages(10)
    finish(java)


def admin(rmq, java):
    """What tools ask."""
    topic = rmq.create_topic("AdminTopic", queues=2)
    java.send(topic, text="message {i}", keys="k{i}", count=4)
    here = java.consume(topic, "AdminGroup")
    here.wait_messages(4)
    java.admin("clusterInfo")
    java.admin("route", topic=topic)
    java.admin("topicStats", topic=topic)
    java.admin("topicList")
    java.admin("consumerConnection", group="AdminGroup")
    # a 4.x producer beats only 30 s after its first route: code 1 then
    java.do("admin", call="producerConnection", group="PEER_PRODUCER", topic=topic)
    here.stop()  # commits
    java.admin("consumeStats", group="AdminGroup")
    java.admin("consumeStats", group="AdminGroup", topic=topic)
    java.admin("topicConfig", addr=rmq.address(), topic=topic)
    java.admin("brokerRuntime", addr=rmq.address())
    java.admin("createTopic", addr=rmq.address(), topic="AdminMade", queues=3)
    java.admin("deleteTopic", addr=rmq.address(), topic="AdminMade")
    java.admin("setOffset", addr=rmq.address(), topic=topic, group="AdminGroup",
               broker="broker-0", queue=0, offset=1)
    java.good("offsets", topic=topic, group="AdminGroup")
    finish(java)


def manage(rmq, java):
    """What tools change and look up at a broker, and what the broker then asks of consumers."""
    topic = rmq.create_topic("ManagedTopic", queues=1)
    sent = java.send(topic, text="message {i}", keys="k{i}", count=3)
    here = java.consume(topic, "ManagedGroup")
    here.wait_messages(3)
    relayed = rmq.relays[0].do("stats")[rmq.address()]["port"]
    addr = f"127.0.0.1:{relayed}"
    java.admin("createTopic", addr=addr, topic="Made", queues=3)
    java.admin("topicConfig", addr=addr, topic="Made")
    java.admin("deleteTopic", addr=addr, topic="Made")
    java.admin("brokerRuntime", addr=addr)
    java.admin("updateBrokerConfig", addr=addr, key="flushDelayOffsetInterval", value="4000")
    # The offset id holds the broker's own address, so Java asks it past the relay.
    java.admin("viewMessage", topic=topic, msgId=sent[0]["offsetMsgId"])
    assert java.admin("queryMessage", topic=topic, key="k1")
    java.admin("consumerStatus", topic=topic, group="ManagedGroup", clientId=here.client_id)
    java.admin("consumeDirectly", topic=topic, group="ManagedGroup", clientId=here.client_id,
               msgId=sent[1]["offsetMsgId"])
    cluster.wait_for("a commit", lambda: rmq.committed("ManagedGroup", topic))  # 4.x insists
    java.admin("resetOffset", topic=topic, group="ManagedGroup", timestamp=0)
    here.wait_messages(7)  # three, one consumed directly, three again
    java.admin("topicGroups", topic=topic)
    here.stop()
    java.admin("setOffset", addr=addr, topic=topic, group="ManagedGroup", broker="broker-0",
               queue=0, offset=1)
    java.good("offsets", topic=topic, group="ManagedGroup")
    finish(java)


def acl(rmq, java):
    """Signed requests; then the same with a wrong secret."""
    topic = rmq.create_topic("AclTopic", queues=1)
    java.send(topic, text="signed", keys="k1", queue=0)
    java.send(topic, text="batch {i}", keys="b{i}", count=2, batch=2, queue=0)
    assert len(java.dump(topic)) == 3
    here = java.consume(topic, "AclGroup")
    here.wait_messages(3)
    finish(java)
    key = rmq.acl.split(":")[0]
    with cluster.Peer(rmq.version, java.namesrv, rmq.base, acl=f"{key}:wrongsecret") as wrong:
        refused = wrong.do("send", topic=topic, text="refused", queue=0, retries=0)
        assert any(e["event"] == "error" for e in refused), refused


def errors(rmq, java):
    """Replies with other codes than 0."""
    topic = rmq.create_topic("ErrorTopic", queues=1)
    java.send(topic, text="message {i}", count=3, queue=0)

    def refused(**options):
        events = java.do("send", **options)
        assert any(e["event"] == "error" for e in events), events
    refused(topic="NoSuchTopic", text="x")
    refused(topic=topic, size=9000, random=True, compressOver=1 << 20, queue=0)
    wrong = java.do("pull", topic="NoSuchTopic", queue=0, offset=0)
    assert wrong[0]["event"] == "error", wrong
    assert java.good("pull", topic=topic, queue=0, offset=3)[-1]["status"] == "NO_NEW_MSG"
    assert java.good("pull", topic=topic, queue=0, offset=3, block=1000)[-1]["status"] \
        == "NO_NEW_MSG"
    assert java.good("pull", topic=topic, queue=0, offset=99)[-1]["status"] == "OFFSET_ILLEGAL"
    assert java.good("pull", topic=topic, queue=0, offset=0, tags="None")[-1]["status"] \
        == "NO_MATCHED_MSG"
    for call in ("consumerConnection", "consumeStats"):
        assert java.do("admin", call=call, group="NoSuchGroup")[0]["event"] == "error"
    assert java.do("admin", call="topicStats", topic="NoSuchTopic")[0]["event"] == "error"
    rmq.create_topic(topic, queues=1, perm=2)  # of which the puller has not heard
    unreadable = java.do("pull", topic=topic, queue=0, offset=0)
    assert unreadable[0].get("code") == 16, unreadable
    finish(java)


def transaction(rmq, java):
    """Half messages: committed, rolled back, and left open until the broker asks."""
    topic = rmq.create_topic("TxTopic", queues=1)
    for state in ("commit", "rollback"):
        java.good("send", topic=topic, text=state, keys=state, group="TxGroup", tx=state)
    java.good("send", topic=topic, text="asked", keys="asked", group="TxGroup", tx="unknown",
              check="commit")
    java.wait("a check", lambda events: any(e["event"] == "check" for e in events), 60)
    cluster.wait_for("both committed messages", lambda: rmq.count(topic) == 2)
    assert sorted(m["keys"] for m in java.dump(topic)) == ["asked", "commit"]
    finish(java)


NO_AUTO = ("maxMessageSize=8192", "autoCreateTopicEnable=false")
# scenario: (function, options of the cluster, JVM options of the peer)
SCENARIOS = {
    "send": (send, {}, ()),
    "push": (push, {}, ()),
    "admin": (admin, {}, ()),
    "manage": (manage, {}, ()),
    "acl": (acl, {"acl": ACL_USER}, ()),
    "errors": (errors, {"sets": NO_AUTO}, ()),
    "transaction": (transaction, {}, ()),
    "binary-send": (send, {"jvm": BINARY}, BINARY),
    "binary-push": (push, {"jvm": BINARY}, BINARY),
    "binary-errors": (errors, {"sets": NO_AUTO, "jvm": BINARY}, BINARY),
    "binary-acl": (acl, {"jvm": BINARY, "acl": ACL_USER}, BINARY),
}


# Binary headers are the same in both; one scenario shows that.
ONLY_NEWEST = ("binary-push", "binary-errors", "binary-acl")


def frames(path):
    """(direction, frame) of a file."""
    data = pathlib.Path(path).read_bytes()
    at = 0
    while at < len(data):
        direction, size = struct.unpack_from(">BI", data, at)
        yield direction, data[at + 5:at + 5 + size]
        at += 5 + size


def summary(path):
    """Counts of a file, for people: frames, request codes, response codes."""
    requests, replies, count = set(), set(), 0
    for _, frame in frames(path):
        count += 1
        word, = struct.unpack_from(">I", frame, 4)
        head = cluster._header(frame[8:8 + (word & 0xFFFFFF)], word >> 24)
        (replies if head["flag"] & 1 else requests).add(head["code"])
    return (f"{path.name:<28} {path.stat().st_size:>7} bytes {count:>4} frames  requests "
            f"{sorted(requests)}  replies {sorted(replies)}")


def record(version, name):
    work, options, jvm = SCENARIOS[name]
    part = OUT / f"{version}-{name}.part"
    with cluster.Cluster(version, **options) as rmq:
        relay = rmq.relay(record=part)
        work(rmq, rmq.peer(namesrv=relay.namesrv, jvm=jvm))
    done = part.with_suffix(".frames")
    part.rename(done)
    print(summary(done), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=", ".join(SCENARIOS))
    parser.add_argument("--version", choices=cluster.VERSIONS)
    parser.add_argument("--summary", action="store_true", help="only tells what the files hold")
    args = parser.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    if args.summary:
        for path in sorted(OUT.glob("*.frames")):
            print(summary(path))
        return 0
    for version in [args.version] if args.version else cluster.VERSIONS:
        for name in args.scenarios or SCENARIOS:
            if args.scenarios or version == "5.5.0" or name not in ONLY_NEWEST:
                record(version, name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
