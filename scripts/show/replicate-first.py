#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# summary: region A to region B: every message once, in order, equal, through kills; speed and weight
"""Two real clusters. A topic of region A with 8 queues holds messages of 1 KiB with binary bodies,
keys, tags and properties; the replicator (2 tasks, class name of the Java runtime) copies it to
region B while the worker is killed with SIGKILL at random points.

Messages are written and checked over plain sockets (tests/rocketmq/stored.py), without our client.
Queue q of A holds the numbers q, q + 8, q + 16 ...: queue q of B must hold just these, in this
order, with equal bodies, keys, tags and properties. `__rc.*` are ours and not part of equal, but
`__rc.src` must be the unique key at the source.

Then, without kills, the same copy beside bench/limit's (a raw puller and appender in one process),
in turns in this run, from the first to the last message stored in B (the first copy warms the
brokers' code up and is not counted); and the latency at 1,000 messages a second: the broker's store times in B and
in A of each message.

Options: --count N (1,000,000), --kills K (10), --rounds N of the comparison (2), --rate N (1,000),
--latency N messages (20,000).
"""
import argparse
import json
import os
import pathlib
import random
import socket
import statistics
import struct
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests/rocketmq"))
import client_kit as kit  # noqa: E402
import cluster  # noqa: E402
import stored  # noqa: E402
import worker_kit  # noqa: E402

QUEUES = 8
BYTES = 1024
BATCH = 256
REPLICATOR = "org.apache.rocketmq.replicator.ReplicatorSourceConnector"
SHARE = 0.8     # of bench/limit's copy
CPU_MAX = 2.0   # seconds per million messages of 1 KiB
RSS_MAX = 64    # MiB
# What brokers and clients add by themselves.
ADDED = {b"MSG_REGION", b"TRACE_ON", b"CLUSTER", b"UNIQ_KEY", b"WAIT"}


class Messages:
    """Message number n is always the same."""

    def __init__(self, rng):
        self.pool = rng.randbytes(1 << 20)

    def body(self, n):
        at = n * 2654435761 % ((1 << 20) - BYTES)
        return self.pool[at:at + BYTES - 8] + struct.pack(">Q", n)

    @staticmethod
    def unique(n):
        return b"7F000001%024X" % n

    @staticmethod
    def properties(n):
        return {b"KEYS": b"key-%d" % n, b"TAGS": b"tag%d" % (n % 3), b"number": b"%d" % n,
                b"place": "Zürich 苏黎世".encode()}

    def item(self, n):
        pairs = {**self.properties(n), b"UNIQ_KEY": self.unique(n), b"WAIT": b"true"}
        raw = b"".join(k + b"\x01" + v + b"\x02" for k, v in pairs.items())
        body = self.body(n)
        return struct.pack(">iiiii", 22 + len(body) + len(raw), 0, 0, n % 1000, len(body)) + body + \
            struct.pack(">h", len(raw)) + raw


def load(rmq, topic, messages, count):
    """Fills the topic of region A: batches, one at a time per queue."""
    with socket.create_connection(("127.0.0.1", rmq.broker_port()), 30) as s, \
            s.makefile("rb", buffering=1 << 16) as replies:
        for first in range(0, count, QUEUES * BATCH):
            for queue in range(QUEUES):
                numbers = range(first + queue, min(first + QUEUES * BATCH, count), QUEUES)
                if not numbers:
                    continue
                body = b"".join(messages.item(n) for n in numbers)
                fields = {"a": "LOADER", "b": topic, "c": "TBW102", "d": "4", "e": str(queue),
                          "f": "0", "g": str(int(time.time() * 1000)), "h": "0", "m": "true"}
                s.sendall(frame(320, fields, body))
                total, length = struct.unpack(">II", cluster._read(replies, 8))
                rest = cluster._read(replies, total - 4)
                header = cluster._header(rest[:length & 0xFFFFFF], length >> 24)
                if header["code"]:
                    raise cluster.Trouble(f"a batch to region A: {header}")


def frame(code, fields, body):
    header = json.dumps({"code": code, "language": "CPP", "version": 513, "opaque": 1, "flag": 0,
                         "extFields": fields}).encode()
    return struct.pack(">II", 4 + len(header) + len(body), len(header)) + header + body


class Checker:
    """What stands in region B."""

    def __init__(self, messages):
        self.messages = messages
        self.next = {}
        self.count = self.unequal = self.lost_or_moved = self.twice = self.source = 0

    def take(self, m):
        self.count += 1
        n = struct.unpack(">Q", m.body[-8:])[0] if len(m.body) >= 8 else -1
        found = stored.properties(m.properties)
        plain = {k: v for k, v in found.items() if k not in ADDED and not k.startswith(b"__rc.")}
        self.unequal += (m.body != self.messages.body(n) or m.flag != n % 1000 or
                         plain != self.messages.properties(n))
        self.source += found.get(b"__rc.src") != self.messages.unique(n)
        want = self.next.get(m.queue, m.queue)
        self.twice += n < want
        self.lost_or_moved += n > want
        self.next[m.queue] = max(want, n + QUEUES)


def create(worker, a, name, topic, to):
    worker.create(name, connector__class=REPLICATOR, src__endpoint=a.namesrv,
                  src__topictags=f"{topic},*", dest__topic=to, max__tasks=2)


def wait_copied(worker, b, topic, count, patience, pause=0.02):
    deadline = time.monotonic() + patience
    while b.count(topic) < count:
        if worker.process.poll() is not None:
            raise cluster.Trouble(f"the worker ended by itself: {worker.said()[-3000:]}")
        if time.monotonic() > deadline:
            raise cluster.Trouble(f"{b.count(topic)} of {count} messages after {patience} s: "
                                  f"{worker.said()[-3000:]}")
        time.sleep(pause)


def stored_ms(rmq, topic, queue, offset):
    """When the broker has stored one message."""
    found = []
    header, body = cluster.request(rmq.broker_port(), 11, {
        "consumerGroup": "CHECKER", "topic": topic, "queueId": queue, "queueOffset": offset,
        "maxMsgNums": 1, "sysFlag": 4, "commitOffset": 0, "suspendTimeoutMillis": 1000,
        "subscription": "*", "subVersion": 0})
    if header["code"]:
        raise cluster.Trouble(f"offset {offset} of queue {queue}: {header}")
    stored._parse(body, "broker-0", offset, found.append)
    return found[0].stored


def kills(args, a, b, messages, rng, table):
    worker = worker_kit.Worker(kit.scratch() / "killed", b.namesrv)
    to = b.create_topic("COPY", queues=QUEUES)
    points = sorted(rng.uniform(0.02, 0.95) * args.count for _ in range(args.kills))
    patience = 120 + args.count // 2000
    began = time.monotonic()
    worker.start()
    create(worker, a, "copy", "R", to)
    done = 0
    try:
        for at in points:
            wait_copied(worker, b, to, at, patience)
            worker.kill()
            done += 1
            worker.start()
        wait_copied(worker, b, to, args.count, patience)
        took = time.monotonic() - began
        time.sleep(2)  # anything more than wanted would still come
        worker.stop()
    finally:
        worker.kill()
    checker = Checker(messages)
    stored.read(b, to, checker.take)
    known = worker.said().count("are stored already")
    table.note("messages of 1 KiB, 8 queues, 2 tasks", args.count, f"{took:.0f} s with kills")
    table.check("kill -9 of the worker", done, "=", args.kills,
                f"messages recognised after {known} starts of a partition")
    table.check("messages in region B", checker.count, "=", args.count)
    table.check("  lost, or before their turn", checker.lost_or_moved, "=", 0)
    table.check("  twice, or behind their turn", checker.twice, "=", 0)
    table.check("  body, flag, key, tag or property unequal", checker.unequal, "=", 0)
    table.check("  without the unique key of their source", checker.source, "=", 0)
    b.delete_topic(to)


def copy_ours(args, a, b, turn):
    """One copy by a fresh worker: messages/s, CPU s per million, RSS."""
    worker = worker_kit.Worker(kit.scratch() / f"speed-{turn}", b.namesrv)
    to = b.create_topic(f"OURS-{turn}", queues=QUEUES)
    worker.start()
    try:
        before, began = worker.usage()[0], time.time()
        create(worker, a, f"speed-{turn}", "R", to)
        # Asking often would take from the two cores what is measured here.
        wait_copied(worker, b, to, args.count, 120 + args.count // 2000, pause=0.5)
        cpu, _, rss = worker.usage()
        share = args.count // QUEUES
        first = min(stored_ms(b, to, q, 0) for q in range(QUEUES)) / 1000
        last = max(stored_ms(b, to, q, share - 1) for q in range(QUEUES)) / 1000
        worker.stop()
    finally:
        worker.kill()
    b.delete_topic(to)
    return {"messages_per_s": args.count / (last - first), "start": first - began,
            "cpu": (cpu - before) / args.count * 1e6, "rss": rss}


def copy_limit(args, a, b, turn):
    to = b.create_topic(f"LIMIT-{turn}", queues=QUEUES)
    found = kit.measure([kit.build() / "bench/limit", "copy", "--namesrv", a.namesrv, "--topic", "R",
                         "--to-namesrv", b.namesrv, "--to-topic", to, "--count", args.count])
    b.delete_topic(to)
    return found


def aim(value, limit):
    """The project's own aims for weight are told, met or not; they decide nothing."""
    return f"the aim is {limit}: {'met' if value <= limit else 'missed'}"


def speed(args, a, b, table):
    limits, ours = [], []
    copy_limit(args, a, b, -1)
    copy_ours(args, a, b, -1)
    for turn in range(args.rounds):
        limits.append(copy_limit(args, a, b, 2 * turn))
        ours.append(copy_ours(args, a, b, turn))
    limits.append(copy_limit(args, a, b, 2 * args.rounds))
    best = statistics.median(r["messages_per_s"] for r in limits)
    mine = statistics.median(r["messages_per_s"] for r in ours)
    table.note("bench/limit copy, messages/s", best,
               ", ".join(f"{r['messages_per_s']:,.0f}" for r in limits) +
               f"; CPU s per million {statistics.median(r['cpu_s_per_million'] for r in limits):.2f}")
    table.note("the replicator, messages/s", mine,
               ", ".join(f"{r['messages_per_s']:,.0f}" for r in ours) +
               f"; {mine * BYTES / 1e6:.0f} MB/s of bodies; exactly once; first message "
               f"{statistics.median(r['start'] for r in ours) * 1000:.0f} ms after the request")
    table.check("  share of the limit", mine / best, ">=", SHARE)
    cpu, rss = statistics.median(r["cpu"] for r in ours), max(r["rss"] for r in ours)
    table.note("  worker CPU s per million", cpu, aim(cpu, CPU_MAX))
    table.note("  RSS MiB at most", rss, aim(rss, RSS_MAX))
    table.note("the Java runtime on such a machine, messages/s", 7900,
               "one task (13,400 with four), 56-84 CPU s per million, 2.3 GB, p99 3-4 s")


def latency(args, a, b, table):
    worker = worker_kit.Worker(kit.scratch() / "latency", b.namesrv)
    topic = a.create_topic("LATENCY", queues=QUEUES)
    to = b.create_topic("LATENCY", queues=QUEUES)
    worker.start()
    try:
        create(worker, a, "latency", topic, to)
        cluster.wait_for("running tasks",
                         lambda: worker.states("latency") == ["RUNNING", "RUNNING"], 30)
        warm = 2 * args.rate  # the first message of a queue finds routes, notes its end ...
        kit.peer(a, "send", topic=topic, count=warm + args.latency, rate=args.rate, size=BYTES,
                 keys="{i}", quiet=True, seconds=60 + 3 * args.latency // args.rate)
        wait_copied(worker, b, to, warm + args.latency, 60)
        worker.stop()
    finally:
        worker.kill()
    at = {}
    stored.read(a, topic, lambda m: at.__setitem__(stored.properties(m.properties)[b"KEYS"], m.stored))
    late = []
    first = []

    def take(m):
        key = stored.properties(m.properties)[b"KEYS"]
        (late if int(key) >= warm else first).append(m.stored - at[key])
    stored.read(b, to, take)
    late.sort()
    p = [late[int(len(late) * q)] for q in (0.5, 0.99, 0.999)]
    table.check(f"latency at {args.rate:,}/s, A stored to B stored, ms", p[1], "<=", 1000,
                f"p50 {p[0]}, p99 {p[1]}, p99.9 {p[2]}, largest {late[-1]}; "
                f"in the first 2 s, while queues are noted: {max(first)}")


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--count", type=int, default=int(os.environ.get("SHOW_COUNT", 1_000_000)))
    options.add_argument("--kills", type=int, default=10)
    options.add_argument("--rounds", type=int, default=2)
    options.add_argument("--rate", type=int, default=1000)
    options.add_argument("--latency", type=int, default=20_000)
    args = options.parse_args()
    rng = random.Random(int(os.environ.get("SHOW_SEED", "1")))
    messages = Messages(rng)
    table = kit.Table()
    try:
        with cluster.Cluster("5.5.0") as a, cluster.Cluster("5.5.0") as b:
            a.create_topic("R", queues=QUEUES)
            load(a, "R", messages, args.count)
            kit.visible(a, "R", args.count, 120)
            kills(args, a, b, messages, rng, table)
            if args.rounds:
                speed(args, a, b, table)
            if args.latency:
                latency(args, a, b, table)
    except cluster.Trouble as trouble:
        table.check("the copy ends", str(trouble), "=", "")
    table.end()


main()
