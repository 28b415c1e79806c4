#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# summary: our client and Java's on RocketMQ 5.5.0 and 4.9.7, both ways, in groups together
"""What one client writes the other reads, byte for byte: unicode properties, keys, tags, batches,
each compression, delays; and five members of one group, three of Java, two of ours, that share 16
queues. What came out right is Java's word: its reader, its counts, its offsets.

Options: --count N plain messages each way (50,000), --only VERSION.
"""
import argparse
import os
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests/rocketmq"))
import client_kit as kit  # noqa: E402
import cluster  # noqa: E402

PROPS = {"größe": "10 µm", "名字": "消息-{i}", "emoji": "🚀", "empty": " ", "q": "\"\\/'<>&=,;"}
# The shapes of messages both clients send; options of `send` for both, in Java's words.
SHAPES = {
    "plain": dict(count=100, text="hello {i} wörld 世界"),
    "keys and tags": dict(count=50, text="t {i}", keys="k{i} all", tags="TagA"),
    "properties": dict(count=50, text="p {i}", props=PROPS, keys="p{i}"),
    "binary, 0 to 255": dict(count=5, size=1000),
    "1 byte": dict(count=3, size=1),
    "flag": dict(count=3, text="f {i}", flag=12345),
    "4 MiB": dict(count=2, size=4 << 20),
}


def same(table, name, wrote, read, fields=("body", "keys", "tags", "flag")):
    """Messages that the one wrote, as the other reads them; both in order of the numbers."""
    wrong = [f"{f}: {w[f]!r} / {r[f]!r}" for w, r in zip(wrote, read) for f in fields
             if w[f] != r[f]]
    table.check(name, len(read), "=", len(wrote), "messages")
    table.check("  values that differ", len(wrong), "=", 0, wrong[0][:400] if wrong else "")


def visible(rmq, java, topic, count):
    """How many messages Java sees, when the broker shows what it has."""
    kit.visible(rmq, topic, count)
    return sum(e["max"] - e["min"] for e in java.offsets(topic))


def dump_java(rmq, java, topic, count):
    kit.visible(rmq, topic, count)
    return java.dump(topic)


def expected(shape, number):
    """The message `number` of a shape."""
    text = lambda s: None if s is None else s.replace("{i}", str(number))
    body = cluster.pattern(number, shape["size"]) if "size" in shape else text(shape["text"]).encode()
    return {"body": body, "keys": text(shape.get("keys")), "tags": shape.get("tags"),
            "flag": shape.get("flag", 0),
            "props": {k: text(v) for k, v in shape.get("props", {}).items()}}


def unpacked(events):
    return [cluster.unpack(e) for e in events if e["event"] == "message"]


def as_stored(messages):
    """Java's reader adds two properties and takes the mark of compression off."""
    return [{**m, "sysFlag": m["sysFlag"] & ~1, "props": {
        k: v for k, v in m["props"].items() if k not in ("MIN_OFFSET", "MAX_OFFSET")}}
        for m in messages]


def user_props(message, shape):
    return {k: message["props"].get(k) for k in shape.get("props", {})}


def dump_c(rmq, topic, count, **more):
    found = unpacked(kit.peer(rmq, "consume", topic=topic, assigned=True, count=count, idle=15000,
                              good=None, **more))
    return sorted(found, key=lambda m: (m["broker"], m["queue"], m["offset"]))


# ---- shapes ----

def c_to_java(rmq, java, table):
    for name, shape in SHAPES.items():
        topic = rmq.create_topic(queues=1)
        kit.peer(rmq, "send", topic=topic, quiet=True, **shape)
        read = dump_java(rmq, java, topic, shape["count"])
        wrote = [expected(shape, i) for i in range(shape["count"])]
        read = [{**m, "props": user_props(m, shape)} for m in read]
        same(table, f"ours to Java: {name}", wrote, read, ("body", "keys", "tags", "flag", "props"))


def java_to_c(rmq, java, table):
    for name, shape in SHAPES.items():
        for batch in (1, 5):
            if batch > 1 and shape.get("size", 0) > 1 << 20:
                continue
            topic = rmq.create_topic(queues=1)
            java.send(topic, **shape, **({"batch": batch} if batch > 1 else {}))
            wrote = as_stored(dump_java(rmq, java, topic, shape["count"]))
            read = dump_c(rmq, topic, len(wrote))
            same(table, f"Java to ours: {name}{', batches of 5' if batch > 1 else ''}", wrote, read,
                 ("body", "keys", "tags", "flag", "props", "offset", "offsetMsgId", "born", "stored",
                  "msgId"))


def compression(rmq, java, table):
    # The Java client of RocketMQ 4 knows zlib only.
    kinds = ("zlib", "lz4", "zstd") if rmq.version[0] == "5" else ("zlib",)
    for kind in kinds:
        for batch in (1, 20):
            topic = rmq.create_topic(queues=1)
            kit.peer(rmq, "send", topic=topic, count=40, size=9000, compress=kind, batchCount=batch,
                     quiet=True)
            read = dump_java(rmq, java, topic, 40)
            same(table, f"ours to Java: {kind}, batches of {batch}",
                 [{"body": cluster.pattern(i, 9000)} for i in range(40)], read, ("body",))
            table.check("  stored compressed", sum(m["sysFlag"] & 0x700 > 0 for m in read), "=", 40,
                        f"sysFlag {read[0]['sysFlag'] if read else 0:#x}")
        topic = rmq.create_topic(queues=1)
        java.send(topic, count=40, size=9000, compress=kind.upper())
        same(table, f"Java to ours: {kind}", as_stored(dump_java(rmq, java, topic, 40)),
             as_stored(dump_c(rmq, topic, 40)), ("body", "sysFlag", "props"))


def delays(rmq, java, table):
    topic = rmq.create_topic(queues=1)
    events = [("delay level 2", dict(delay=2), 5.0)]
    if rmq.version[0] == "5":
        events.append(("deliver in 3 s", dict(deliverIn=3000), 3.0))
    for name, options, seconds in events:
        before, at = rmq.count(topic), time.time()
        kit.peer(rmq, "send", topic=topic, text=name, **options)
        cluster.wait_for("the delayed message", lambda: rmq.count(topic) > before, 30)
        message = java.dump(topic)[-1]
        late = message["stored"] / 1000 - at
        table.check(f"ours to Java: {name}", message["body"].decode(), "=", name,
                    f"stored after {late:.1f} s")
        table.check("  not before its time (s)", late, ">=", seconds - 1.1)


def bulk(rmq, java, table, count):
    topic = rmq.create_topic(queues=8)
    kit.peer(rmq, "send", topic=topic, count=count, keyed=101, quiet=True, seconds=600)
    table.check("ours: many; Java counts", visible(rmq, java, topic, count), "=", count)
    read = kit.total(kit.peer(rmq, "consume", topic=topic, assigned=True, count=count, check=True,
                              quiet=True, idle=20000, good=None, seconds=600))
    table.check("  read again, in order per key, none missing",
                read["count"] - read["outOfOrder"] - read["missing"] - read["repeated"], "=", count)
    topic = rmq.create_topic(queues=4)
    java.do("send", topic=topic, count=count, batch=100, size=100, quiet=True, seconds=600)
    stored = visible(rmq, java, topic, count)
    read = kit.total(kit.peer(rmq, "consume", topic=topic, assigned=True, count=stored, quiet=True,
                              idle=20000, good=None, seconds=600))
    table.check("Java: many, in batches; we read", read["count"], "=", stored)
    table.check("  of them", stored, "=", count)


# ---- groups ----

def settled(members, queues):
    """True when the members share the queues: all of them, none twice, as even as can be."""
    parts = [m.queues for m in members]
    sizes = sorted(len(p) for p in parts)
    return sum(sizes) == len(set().union(*parts)) == queues and sizes[-1] - sizes[0] <= 1


def group_lag(java, group, topic):
    return sum(e["max"] - e.get("committed", 0) for e in java.offsets(topic, group=group))


def groups(rmq, java, table):
    topic, group = rmq.create_topic(queues=16), cluster.unique("G")
    folder = kit.scratch()
    members = [java.consume(topic, group) for _ in range(3)]
    ours = [kit.Running(rmq, "consume", folder, topic=topic, group=group, balance=1000, commit=500)
            for _ in range(2)]
    try:
        cluster.wait_for("five members that share 16 queues", lambda: settled(members + ours, 16), 90)
        table.check("three of Java, two of ours: 16 queues, none twice",
                    sorted(len(m.queues) for m in members + ours), "=", [3, 3, 3, 3, 4])
        java.send(topic, count=1600, text="g {i}", quiet=True)
        got = lambda: [m["body"].decode() for x in members for m in x.messages()] + \
            [m["body"].decode() for x in ours for m in x.messages()]
        cluster.wait_for("1,600 messages", lambda: len(set(got())) >= 1600, 60)
        table.check("  each message was consumed", len(set(got())), "=", 1600)
        table.check("  none twice", len(got()), "=", 1600,
                    f"{sum(len(x.messages()) for x in ours)} by ours")
        ours[0].close()
        members[0].stop()
        cluster.wait_for("three members that share 16 queues",
                         lambda: settled(members[1:] + ours[1:], 16), 90)
        table.check("one of each leaves: 16 queues over three",
                    sorted(len(m.queues) for m in members[1:] + ours[1:]), "=", [5, 5, 6])
        java.send(topic, count=800, first=1600, text="g {i}", quiet=True)
        cluster.wait_for("800 more", lambda: len(set(got())) >= 2400, 60)
        cluster.wait_for("a lag of 0", lambda: group_lag(java, group, topic) == 0, 30)
        table.check("  lag of the group, says Java", group_lag(java, group, topic), "=", 0)
        table.check("  messages consumed in the end", len(set(got())), "=", 2400,
                    f"{len(got()) - 2400} twice after the change")
        connected = java.admin("consumerConnection", group=group)["connectionSet"]
        table.check("  members, says the broker", len(connected), "=", 3,
                    " ".join(sorted(str(c["language"]) for c in connected)))
    finally:
        for member in ours:
            member.close()
        for member in members[1:]:
            member.stop()


def filters(rmq, java, table):
    topic = rmq.create_topic(queues=2)
    java.send(topic, count=30, text="a {i}", tags="TagA", props={"n": "{i}"})
    java.send(topic, count=20, text="b {i}", tags="TagB", props={"n": "{i}"})
    for name, options, want in (("TagB", dict(tags="TagB"), 20), ("TagA || TagB",
                                dict(tags="TagA || TagB"), 50), ("SQL92 n < 7", dict(sql="n < 7"), 14)):
        read = kit.total(kit.peer(rmq, "consume", topic=topic, assigned=True, idle=2500, good=None,
                                  **options))
        table.check(f"filter {name}", read["count"], "=", want)


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--count", type=int, default=int(os.environ.get("SHOW_COUNT", 50_000)))
    options.add_argument("--only")
    args = options.parse_args()
    table = kit.Table()
    for version in cluster.VERSIONS:
        if args.only and args.only != version:
            continue
        print(f"\nRocketMQ {version}, servers and Java client", flush=True)
        with cluster.Cluster(version) as rmq:
            java = rmq.peer()
            for part in (c_to_java, java_to_c, compression, filters, delays, groups):
                try:
                    part(rmq, java, table)
                except cluster.Trouble as why:
                    table.check(f"{part.__name__}: trouble", str(why)[:600], "=", "none")
            bulk(rmq, java, table, args.count)
    table.end()


main()
