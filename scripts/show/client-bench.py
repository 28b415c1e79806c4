#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# summary: speed and weight of the client beside what the broker can take: append, fetch, latency
"""Our client beside bench/limit, which is what the broker takes and gives at best, on one broker in
one run: limit, ours, limit, ours, ... in turns, because machines are noisy. What counts is the
median of the ratios of neighbours: what slows both down for a while (the broker's disk, its
collector) leaves a ratio alone.

Same batches (256 messages), queues and properties for both; one unanswered send per queue. Our
application hands over 32 messages per call. Bodies of 128 B and 1 KiB, 1, 4 and 16 queues. CPU
seconds are those of the processes; the broker's from /proc. Each turn writes into a topic of its
own; what it wrote is read twice by each at once, before it is deleted.

Options: --count N messages of 128 B (2,000,000; a quarter of it of 1 KiB), --rounds N (5),
--queues 1,4,16, --no-java, --latency N messages at 1,000/s (20,000).
"""
import argparse
import os
import pathlib
import re
import statistics
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests/rocketmq"))
import client_kit as kit  # noqa: E402
import cluster  # noqa: E402

LIMIT = kit.build() / "bench/limit"
CPU_MAX = 0.6  # seconds per million messages of 128 B


def limit(rmq, what, topic, **options):
    argv = [LIMIT, what, "--namesrv", rmq.namesrv, "--topic", topic]
    for name, value in options.items():
        argv += [f"--{name}", value]
    return with_broker(rmq, argv)


def ours(rmq, what, topic, **options):
    return with_broker(rmq, kit.command(rmq, f"bench-{what}", topic=topic, **options))


def with_broker(rmq, argv):
    """The program's figures, and the broker's CPU seconds per million messages."""
    before = kit.cpu_s(rmq.pid())
    found = kit.measure(argv)
    found["broker_cpu"] = (kit.cpu_s(rmq.pid()) - before) / found["messages"] * 1e6
    return found


def median(runs, name):
    return statistics.median(r[name] for r in runs)


def compare(table, title, theirs, mine, share, bytes_):
    pairs = sorted(m["messages_per_s"] / t["messages_per_s"] for t, m in zip(theirs, mine))
    ratio = statistics.median(pairs)
    cpu, broker = median(mine, "cpu_s_per_million"), median(mine, "broker_cpu")
    table.check(f"{title}: ours / limit", ratio, ">=", share,
                f"{median(mine, 'messages_per_s'):,.0f} / {median(theirs, 'messages_per_s'):,.0f} "
                f"a second, {median(mine, 'messages_per_s') * bytes_ / 1e6:.0f} MB/s; "
                f"{len(pairs)} pairs, {pairs[0]:.2f} to {pairs[-1]:.2f}")
    text = f"limit {median(theirs, 'cpu_s_per_million'):.2f}; broker {broker:.2f}, with limit " \
           f"{median(theirs, 'broker_cpu'):.2f}; RSS {max(r['rss_mib'] for r in mine):.0f} MiB"
    if bytes_ == 128:
        table.check("  CPU s per million", cpu, "<=", CPU_MAX, text)
    else:
        table.note("  CPU s per million", cpu, text)


def throughput(rmq, table, queues, bytes_, count, rounds):
    appends, fetches = ([], []), ([], [])
    for turn in range(rounds):
        # The one that goes second finds a warmer broker: they take turns.
        for side in ((0, 1) if turn % 2 == 0 else (1, 0)):
            topic = rmq.create_topic(queues=queues)
            if side == 0:
                appends[0].append(limit(rmq, "append", topic, count=count, bytes=bytes_, batch=256))
            else:
                appends[1].append(ours(rmq, "append", topic, count=count, bytes=bytes_,
                                       batchCount=256))
            stored = int(appends[side][-1]["messages"])
            kit.visible(rmq, topic, stored, 60)
            for reader in ((0, 1, 1, 0) if turn % 2 == 0 else (1, 0, 0, 1)):
                run = limit if reader == 0 else ours
                fetches[reader].append(run(rmq, "fetch", topic, count=stored))
            rmq.delete_topic(topic)
    name = f"{bytes_} B, {queues} queue{'s' if queues > 1 else ''}"
    compare(table, f"append {name}", *appends, 0.85, bytes_)
    compare(table, f"fetch {name}", *fetches, 0.90, bytes_)


def latency(rmq, table, count):
    runs = {"limit": [], "ours": []}
    for _ in range(2):
        topic = rmq.create_topic(queues=4)
        runs["limit"].append(limit(rmq, "latency", topic, count=count, rate=1000))
        runs["ours"].append(ours(rmq, "latency", topic, count=count, rate=1000))
        rmq.delete_topic(topic)
    for name, found in runs.items():
        table.note(f"latency at 1,000/s, {name}: p50 (us)", median(found, "p50_us"),
                   f"p99 {median(found, 'p99_us'):,.0f}, p99.9 {median(found, 'p999_us'):,.0f}, "
                   f"CPU {median(found, 'cpu_s_per_million') / 1000:.3f} of a core")


def java(rmq, table):
    """RocketMQ's own benchmark, once: batches of 128, as fast as it goes."""
    folder = cluster.libs(rmq.version)
    if not any(folder.glob("rocketmq-example*")):
        table.note("RocketMQ's Java benchmark", "-", "its jar is not there")
        return
    topic = rmq.create_topic(queues=4)
    argv = ["timeout", "-s", "KILL", "20", "java", "-Xmx512m", "-cp", f"{folder}/*",
            "org.apache.rocketmq.example.benchmark.BatchProducer", "-n", rmq.namesrv, "-t", topic,
            "-w", "8", "-b", "128", "-s", "128", "-ri", "3000"]
    done = subprocess.run(argv, text=True, capture_output=True, check=False)
    rates = [int(x) for x in re.findall(r"Send MPS: (\d+)", done.stdout)]
    table.note("Java's BatchProducer, 128 B in batches of 128", max(rates, default=0),
               "messages a second, best of its reports")
    rmq.delete_topic(topic)


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--count", type=int, default=int(os.environ.get("SHOW_COUNT", 2_000_000)))
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--queues", default="1,4,16")
    options.add_argument("--latency", type=int, default=20_000)
    options.add_argument("--no-java", action="store_true")
    args = options.parse_args()
    table = kit.Table()
    with cluster.Cluster("5.5.0") as rmq:
        warm = rmq.create_topic(queues=4)
        for _ in range(2):  # a broker is fast after some million messages only
            limit(rmq, "append", warm, count=max(args.count, 300_000))
        limit(rmq, "fetch", warm)
        rmq.delete_topic(warm)
        for bytes_, count in ((128, args.count), (1024, max(args.count // 4, 1))):
            for queues in (int(q) for q in args.queues.split(",")):
                throughput(rmq, table, queues, bytes_, count, args.rounds)
        latency(rmq, table, args.latency)
        if not args.no_java:
            java(rmq, table)
    table.end()


main()
