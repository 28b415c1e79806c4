#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# summary: every line once in RocketMQ, whatever is killed and whichever answers are lost
"""Lines of a file go to 16 queues on two brokers through a relay that forwards every request and
swallows broker replies at random: what was sent is stored, but the worker is not told. Meanwhile
the worker and the brokers are killed with SIGKILL, the worker 20 times, brokers 5 times, at random
points between 2 % and 95 % of the lines.

At the end a reader of its own (tests/rocketmq/stored.py: plain sockets, nothing of our client)
counts what each line of the file has become: lost, twice, once; and whether the lines of one queue
stand in the order of the file within what one run of the worker has written. Across runs there is
no such order: ordering=none deals lines out in turn, and each run begins to deal anew.

With --strict (exactly.once.support=strict) the relay also takes sends out at random and delivers
them 6 s later, when they were given up long ago, and a broker stands still (SIGSTOP) for 6 s with
sends in its buffers while the worker is killed and started again. The reader then leaves out what
lies behind a barrier of its writer, by its own lines. And a file sink copies the topic into a file
while it is killed with its worker: each line once there, too.

Options: --lines N (1,000,000), --kills K of the worker (20), --broker-kills K (5),
--swallow N: 1 in N replies to sends is lost (80), --queues N of each broker (8), --strict,
--late N: with --strict, 1 in N sends is late (120), --freezes N: with --strict (2).
"""
import argparse
import os
import pathlib
import random
import re
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/rocketmq"))
import client_kit as kit  # noqa: E402
import cluster  # noqa: E402
import stored  # noqa: E402
import worker_kit  # noqa: E402

WIDTH = 100


def write_lines(path, count, rng):
    """Numbered lines; the last byte of each is its newline."""
    pad = "".join(rng.choice("abcdefghijklmnopqrstuvwxyz0123456789") for _ in range(WIDTH + 4096))
    with open(path, "w", encoding="ascii", buffering=1 << 20) as out:
        for i in range(count):
            at = i * 2654435761 % 4096
            out.write(f"{i:012d} {pad[at:at + WIDTH - 14]}\n")


class Counter(threading.Thread):
    """How many messages the topic has, asked twice a second; brokers that are away keep their last
    number."""

    def __init__(self, rmq, topic):
        super().__init__(daemon=True)
        self.rmq, self.topic = rmq, topic
        self.ends = {}
        self.ended = False
        self.queues = {(d["brokerName"], q) for d in rmq.route(topic)
                       for q in range(d["writeQueueNums"])}

    def run(self):
        while not self.ended:
            for broker, queue in self.queues:
                try:
                    header, _ = cluster.request(self.rmq.broker_port(broker), 30,
                                                {"topic": self.topic, "queueId": queue})
                    self.ends[broker, queue] = int(header["extFields"]["offset"])
                except (OSError, KeyError, cluster.Trouble):
                    pass
            time.sleep(0.2)

    @property
    def count(self):
        return sum(self.ends.values())


class Barriers:
    """What readers of a strict topic leave out: rocketmq/strict.h, written a second time."""

    def __init__(self):
        self.highest = {}
        self.count = self.stale = 0

    def leave_out(self, m, found):
        parts = found.get(b"__rc.gen", b"").split(b".")
        if len(parts) != 3:
            return False
        at, stamp = (m.broker, m.queue, parts[2]), (int(parts[0]), int(parts[1]))
        if found.get(b"TAGS") == b"rc-barrier":
            self.highest[at] = max(stamp, self.highest.get(at, stamp))
            self.count += 1
            return True
        if stamp < self.highest.get(at, stamp):
            self.stale += 1
            return True
        return False


class Checker:
    """What has become of each line."""

    def __init__(self, count, path):
        self.barriers = Barriers()
        self.seen = bytearray(count)
        self.foreign = self.out_of_order = self.damaged = self.messages = 0
        self.last = {}
        self.file = open(path, "rb")

    def take(self, m):
        found = stored.properties(m.properties)
        if self.barriers.leave_out(m, found):
            return
        self.messages += 1
        try:
            number = int(m.body[:12])
            self.seen[number] = min(self.seen[number] + 1, 255)
        except (ValueError, IndexError):
            self.foreign += 1
            return
        if number % 97 == 0:  # what is between is the same code
            self.file.seek(number * WIDTH)
            self.damaged += self.file.read(WIDTH - 1) != m.body
        generation = found[b"__rc.gen"].partition(b".")[0]
        at = (m.broker, m.queue, generation)
        self.out_of_order += number <= self.last.get(at, -1)
        self.last[at] = number

    @property
    def runs(self):
        return len({generation for _, _, generation in self.last})


class Trial:
    def __init__(self, args, rmq, rng):
        self.args, self.rmq, self.rng = args, rmq, rng
        self.folder = kit.scratch()
        self.input = self.folder / "lines.txt"
        self.topic = rmq.create_topic("LINES", queues=args.queues)
        self.counter = Counter(rmq, self.topic)
        self.relay = rmq.relay(seed=rng.randrange(1 << 30))
        self.worker = worker_kit.Worker(self.folder / "worker", self.relay.namesrv,
                                        operationTimeout=args.timeout_ms,
                                        offsetCommitIntervalMsConfig=500, task__pending__bytes__max="4MiB")
        self.copy = self.folder / "copy.txt"
        self.kills = self.broker_kills = self.freezes = 0

    def points(self):
        """(count of messages, who is killed), in order."""
        names = [None] * self.args.kills + ["freeze"] * self.args.freezes + \
            [self.rng.choice(self.rmq.masters()) for _ in range(self.args.broker_kills)]
        self.rng.shuffle(names)
        at = sorted(self.rng.uniform(0.02, 0.95) * self.args.lines for _ in names)
        return list(zip(at, names))

    def strike(self, name):
        if name is None:
            self.worker.kill()
            self.kills += 1
            self.worker.start()
            return
        if name == "freeze":
            self.freeze(self.rng.choice(self.rmq.masters()))
            return
        self.rmq.kill(name)
        self.broker_kills += 1
        time.sleep(self.rng.random())
        self.rmq.start(only=name)

    def freeze(self, name):
        """The broker stands still for longer than anything is waited for, with sends in its
        buffers, while the worker is killed. One that starts then ends when a broker does not
        answer, and is started again, so that it is there as soon as the broker goes on."""
        self.rmq.freeze(name)
        self.freezes += 1
        time.sleep(0.3)
        self.worker.kill()
        thaw = time.monotonic() + 6
        frozen = True
        self.worker.start(wait=False)
        while frozen or "REST on http" not in self.worker.said(self.worker.offset):
            if frozen and time.monotonic() >= thaw:
                self.rmq.thaw(name)
                frozen = False
            if self.worker.process.poll() is not None:
                self.worker.start(wait=False)
            if time.monotonic() > thaw + 60:
                raise cluster.Trouble(f"no worker: {self.worker.said()[-3000:]}")
            time.sleep(0.02)
        self.worker.wait()

    def copied(self):
        """Lines in the sink's file."""
        if not self.copy.exists():
            return 0
        with open(self.copy, "rb") as file:
            return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))

    def finished(self):
        return self.worker.states("lines") == ["FINISHED"]

    def run(self):
        self.counter.start()
        self.relay.do(f"swallow every={self.args.swallow} codes=10,310,320")
        if self.args.strict:
            self.relay.do(f"late every={self.args.late} ms=6000 codes=310,320")
        self.worker.start()
        self.worker.create("lines", connector__class="file-source", filename=self.input,
                           bounded="true", connect__topicname=self.topic, ordering="none",
                           exactly__once__support="strict" if self.args.strict else "required",
                           batch__records__max=2048, value__converter=worker_kit.STRING)
        if self.args.strict:
            self.worker.create("copy", connector__class="file-sink", filename=self.copy,
                               connect__topicnames=self.topic, value__converter=worker_kit.STRING)
        deadline = time.monotonic() + self.args.patience
        for at, name in self.points():
            while self.counter.count < at and not self.finished():
                self.give_up(deadline)
                time.sleep(0.05)
            self.strike(name)
        while not self.finished():
            self.give_up(deadline)
            time.sleep(0.2)
        if self.args.strict:
            time.sleep(7)  # until the last late one has landed
            while self.copied() < self.args.lines:
                self.give_up(deadline)
                time.sleep(0.5)
            time.sleep(2)  # one line too many would come now
            self.worker.stop()
        self.counter.ended = True

    def give_up(self, deadline):
        if self.worker.process.poll() is not None:
            raise cluster.Trouble(f"the worker ended by itself: {self.worker.said()[-3000:]}")
        if time.monotonic() > deadline:
            raise cluster.Trouble(f"not finished in {self.args.patience} s, {self.counter.count} "
                                  f"messages; {self.worker.status('lines')}; "
                                  f"{self.worker.said()[-3000:]}")

    def swallowed(self):
        return sum(pair["swallowed"] for pair in self.relay.do("stats").values())


def check_strict(trial, checker, table):
    late = sum(pair["delivered"] for pair in trial.relay.do("stats").values())
    table.check("sends that landed 6 s late", late, ">=", 1)
    table.check("a broker stood still and the worker was killed", trial.freezes, "=",
                trial.args.freezes)
    table.check("barriers", checker.barriers.count, ">=", 1)
    table.check("messages left out behind them", checker.barriers.stale, ">=", 1,
                "each would be a repeat")
    table.check("lines in the sink's file", trial.copied(), "=", trial.args.lines)
    with open(trial.copy, "rb") as file:
        table.check("  different ones", len({line[:12] for line in file}), "=", trial.args.lines)


def check(trial, table, took):
    args = trial.args
    checker = Checker(args.lines, trial.input)
    stored.read(trial.rmq, trial.topic, checker.take)
    said = trial.worker.said()
    again = [tuple(map(int, x)) for x in re.findall(
        r"without answer (\d+) messages are stored, (\d+) are sent again", said)]
    known = sum(map(int, re.findall(r"(\d+) messages behind the last position", said)))
    table.note("lines", args.lines, f"{took:.0f} s, {args.lines / took:,.0f} a second with all this")
    table.check("kills of the worker", trial.kills, "=", args.kills)
    table.check("kills of a broker", trial.broker_kills, "=", args.broker_kills)
    table.check("replies to sends swallowed", trial.swallowed(), ">=", args.swallowed_min)
    table.check("sends looked up for that", len(again), ">=", 1,
                f"{sum(a for a, _ in again):,} messages were stored, {sum(b for _, b in again):,} "
                "were sent again")
    table.check("messages recognised after a kill", known, ">=", 1 if args.kills else 0)
    if args.strict:
        check_strict(trial, checker, table)
    table.check("messages that readers see" if args.strict else "messages in the topic",
                checker.messages, "=", args.lines,
                f"{len(trial.counter.queues)} queues, written by {checker.runs} runs")
    table.check("  lines lost", checker.seen.count(0), "=", 0)
    table.check("  lines twice or more", args.lines - checker.seen.count(0) - checker.seen.count(1),
                "=", 0)
    table.check("  no line of the file", checker.foreign, "=", 0)
    table.check("  another text than in the file", checker.damaged, "=", 0)
    table.check("  out of order in a queue, within a run", checker.out_of_order, "=", 0)


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--lines", type=int, default=int(os.environ.get("SHOW_COUNT", 1_000_000)))
    options.add_argument("--kills", type=int, default=20)
    options.add_argument("--broker-kills", type=int, default=5)
    options.add_argument("--swallow", type=int, default=80)
    options.add_argument("--swallowed-min", type=int, default=24)
    options.add_argument("--queues", type=int, default=8)
    options.add_argument("--strict", action="store_true")
    options.add_argument("--late", type=int, default=120)
    options.add_argument("--freezes", type=int, default=2)
    options.add_argument("--timeout-ms", type=int, default=500)
    options.add_argument("--patience", type=int, default=0)
    args = options.parse_args()
    args.patience = args.patience or 300 + args.lines // 1000
    args.freezes = args.freezes if args.strict else 0
    rng = random.Random(int(os.environ.get("SHOW_SEED", "1")))
    table = kit.Table()
    with cluster.Cluster("5.5.0", brokers=2) as rmq:
        trial = Trial(args, rmq, rng)
        write_lines(trial.input, args.lines, rng)
        began = time.monotonic()
        try:
            trial.run()
        except cluster.Trouble as trouble:
            table.check("the copy ends", str(trouble), "=", "")
            table.end()
        finally:
            trial.worker.kill()
        check(trial, table, time.monotonic() - began)
    table.end()


main()
