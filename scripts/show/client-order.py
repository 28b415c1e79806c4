#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# summary: the client keeps the order of every key against a broker with 16 send threads
"""Order per key, where it is easiest to lose: a broker that runs sends on 16 threads, 8 queues, all
of them with a batch under way and another waiting, all the time.

Each key's messages are numbered; the numbers must come back in order, none missing, none twice. The
reader is our own consumer for all of them, and the Java client for a part. The same with 8
unanswered sends per queue must lose the order: otherwise this broker, or this check, proves nothing.

Options: --count N messages (1,000,000), --java N of a second topic that Java reads (50,000).
"""
import argparse
import collections
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/rocketmq"))
import client_kit as kit  # noqa: E402
import cluster  # noqa: E402

SMALL = {"batchCount": 16, "pending": 8 << 20}  # many sends, each far from what a broker can take


def send(rmq, topic, count, keys, seconds, **options):
    return kit.total(kit.peer(rmq, "send", seconds=seconds, topic=topic, count=count, keyed=keys,
                              quiet=True, good=None, **{**SMALL, **options}))


def read(rmq, topic, count, seconds):
    return kit.total(kit.peer(rmq, "consume", seconds=seconds, topic=topic, assigned=True,
                              check=True, quiet=True, count=count, idle=20000, good=None))


def by_java(rmq, java, table, count):
    topic = rmq.create_topic(queues=8)
    send(rmq, topic, count, 97, 300)
    last = collections.defaultdict(lambda: -1)
    wrong = 0
    kit.visible(rmq, topic, count)
    messages = java.dump(topic, seconds=60 + count // 1000)
    for m in messages:  # by queue and offset; a key is in one queue
        key, number = m["body"].decode().split(":")
        wrong += int(number) != last[key] + 1
        last[key] = int(number)
    table.check("Java reads as many as were sent", len(messages), "=", count)
    table.check("  next number of its key, for all", wrong, "=", 0, f"{len(last)} keys")


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--count", type=int, default=int(os.environ.get("SHOW_COUNT", 1_000_000)))
    options.add_argument("--java", type=int, default=50_000)
    args = options.parse_args()
    limit = 120 + args.count // 5000
    table = kit.Table()
    with cluster.Cluster("5.5.0", sets=["sendMessageThreadPoolNums=16"]) as rmq:
        topic = rmq.create_topic(queues=8)
        sent = send(rmq, topic, args.count, 1009, limit)
        table.check("messages accepted and stored", sent["sent"], "=", args.count,
                    f"{args.count / sent['seconds']:,.0f} a second, batches of at most 16")
        table.check("  failed", sent["failed"], "=", 0)
        table.check("  receipts of a queue out of order", sent["offsetsBack"], "=", 0)
        table.check("messages the broker has", kit.visible(rmq, topic, args.count), "=", args.count)
        got = read(rmq, topic, args.count, limit)
        table.check("messages read", got["count"], "=", args.count, f"{got['keys']} keys")
        for what in ("outOfOrder", "repeated", "missing", "foreign", "offsetsBack"):
            table.check(f"  {what}", got[what], "=", 0)
        by_java(rmq, rmq.peer(), table, args.java)
        for _ in range(5):
            topic = rmq.create_topic(queues=1)
            send(rmq, topic, 50_000, 11, 120, window=8, batchCount=4)
            loose = read(rmq, topic, 50_000, 120)
            if loose["outOfOrder"]:
                break
        table.check("out of order with window=8, so that it can be seen", loose["outOfOrder"], ">", 0)
    shuffled(table)
    table.end()


def shuffled(table):
    """The unit test on a fake broker that stores waiting sends in random order."""
    folder = ROOT / "build/dev"
    log = kit.scratch() / "unit.log"
    with open(log, "wb") as out:
        status = subprocess.call(
            ["sh", "-c", "cmake --preset dev && cmake --build --preset dev --target rocketmq_lane && "
             f"ctest --test-dir {folder} -R '^rocketmq_lane$' --no-tests=error --output-on-failure"],
            cwd=ROOT, stdout=out, stderr=subprocess.STDOUT)
    table.check("unit test of lanes on a broker that shuffles", status, "=", 0)
    if status:
        print(log.read_text("utf-8", "replace")[-1500:])


main()
