#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# summary: tasks of a killed worker run elsewhere within a second, a join moves its share alone
"""Three workers run 12 connectors with 60 tasks on a RocketMQ of two brokers; each task follows a
file that grows by 20 numbered lines a second. A program of its own reads the topics and says how
long each task was without a new record (tests/rocketmq/sequence_check.py).

  kill    kill -9 of a worker, 20 times: each of its tasks has new records again within 1 s at the
          median of the kills' slowest tasks, and 2.5 s always; no other task stops
  join    the worker comes back, 20 times: it gets its fair share, nothing moves but to it, no
          other task stops (and none of those that move for longer than a hand-over)
  outage  all brokers are killed and away for 20 s: no task is restarted
  exact   the same kills, --exact times each, for exactly.once.support=strict and =required, which
          waits 3 s: reported, and nothing comes twice

Options: --kills N (20), --exact N (3; 0 = without), --rate N lines/s of each file (20).
"""
import argparse
import os
import pathlib
import random
import statistics
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/rocketmq"))
import cluster  # noqa: E402
import distributed_kit as kit  # noqa: E402

WORKERS, CONNECTORS, TASKS = 3, 12, 5
ALL = CONNECTORS * TASKS
STOPPED = 1.0  # s without a new record: a task that stopped
MEDIAN_MAX, ALWAYS_MAX = 1.0, 2.5
failures = 0


def check(name, value, op, want, remark=""):
    global failures
    ok = value <= want if op == "<=" else value == want
    failures += not ok
    text = f"{value:.2f}" if isinstance(value, float) else str(value)
    print(f"{name:<58} {text:>8}  {'ok' if ok else 'FAIL':<4} ({op} {want}) {remark}", flush=True)


def part(unit):
    return f"{unit[0]}/{unit[1]}"


class Trial:
    """A team with topics and files of its own."""

    def __init__(self, rmq, folder, name, rng, rate, **more):
        self.rng, self.name = rng, name
        names = [f"{name}{i:02}" for i in range(CONNECTORS)]
        topics = {n: rmq.create_topic(f"lines-{n}", queues=2) for n in names}
        folder.mkdir()
        self.lines = kit.Lines(folder / "lines", names, TASKS, rate)
        self.team = kit.Team(folder, rmq, connectClusterId=name, configStoreTopic=f"{name}-config",
                             connectStatusTopic=f"{name}-status",
                             positionStoreTopic=f"{name}-position")
        self.checker = kit.Checker(rmq, list(topics.values()))
        try:
            self.team.start(WORKERS)
            for n, topic in topics.items():
                self.team.create(n, self.lines, topic, **more)
            self.team.wait_settled(WORKERS, ALL, 120)
        except BaseException:
            self.close()
            raise
        self.lines.start()
        self.lines.go()
        self.kills, self.joins = [], []
        self.lost = self.repeated = self.disordered = self.strangers = 0
        self.again = self.joined_again = 0  # repeated in the last step; in joins

    def close(self):
        self.lines.close()
        self.team.kill()
        self.checker.close()

    def copied(self):
        """All that has been written until now, and some lines more."""
        written = {name: count + 5 for name, count in self.lines.written.items()}
        cluster.wait_for("lines of all tasks",
                         lambda: self.checker.ask(written=written).get("lost") == 0, 60)

    def step(self, what):
        """Does it while lines come; (generations before and after, pauses in s of each task)."""
        self.copied()
        self.checker.ask(written={}, since=0)  # counts from here on
        before = self.team.generations()
        began = int(time.time() * 1000)
        what()
        self.copied()
        time.sleep(0.5)
        after = self.team.generations()
        self.lines.pause()
        found = self.checker.judge(self.lines.written, began)
        self.lines.go()
        self.lost += found["lost"]
        self.disordered += found["disordered"]
        self.again = sum(found["repeated"].values())
        self.repeated += self.again
        return before, after, {k: v[0] / 1000 for k, v in found["pauses"].items()}

    def kill_and_join(self):
        victim = self.rng.choice(self.team.members)
        before, after, pauses = self.step(victim.kill)
        its = {u for u, (_, worker) in before.items() if worker == victim.name}
        self.strangers += sum(after[u] != before[u] for u in before.keys() - its)
        self.kills.append((max(pauses[part(u)] for u in its),
                           max(pauses[part(u)] for u in before.keys() - its)))
        line = f"kill of {victim.name}: its {len(its)} tasks {self.kills[-1][0]:.2f} s, others " \
               f"{self.kills[-1][1]:.2f} s without a record, {self.again} repeated; "

        def join():
            victim.start()
            self.team.wait_settled(WORKERS, ALL)
        before, after, pauses = self.step(join)
        self.joined_again += self.again
        moved = {u for u in before if before[u] != after[u]}
        self.strangers += sum(after[u][1] != victim.name for u in moved)
        units = ALL + CONNECTORS
        over = self.team.loads()[victim.name] - -(-units // WORKERS)
        self.joins.append((len(moved), over, max(pauses[part(u)] for u in moved),
                           max(pauses[part(u)] for u in before.keys() - moved)))
        print(f"  {self.name:<8} {line}join: {len(moved)} tasks move, {self.joins[-1][2]:.2f} s, "
              f"others {self.joins[-1][3]:.2f} s, {self.again} repeated", flush=True)


def at_least_once(rmq, folder, rng, args):
    trial = Trial(rmq, folder / "once", "m", rng, args.rate)
    try:
        for _ in range(args.kills):
            trial.kill_and_join()
        victims, others = zip(*trial.kills)
        check("kill: s until all tasks run elsewhere, median", statistics.median(victims), "<=",
              MEDIAN_MAX, f"of {args.kills}")
        check("kill: the slowest task of all kills, s", max(victims), "<=", ALWAYS_MAX)
        check("kill: longest pause of a task of others, s", max(others), "<=", STOPPED)
        moved, over, pauses, others = zip(*trial.joins)
        check("join: units above the fair share, at most", max(over), "<=", 0,
              f"{min(moved)} to {max(moved)} of {ALL} tasks move")
        check("join: longest pause of a task that moves, s", max(pauses), "<=", ALWAYS_MAX)
        check("join: longest pause of a task that stays, s", max(others), "<=", STOPPED)
        check("join: records repeated", trial.joined_again, "==", 0, "handed over, not taken")
        check("tasks that moved and had not to", trial.strangers, "==", 0)
        outage(rmq, trial)
        check("records lost", trial.lost, "==", 0)
        check("records out of order", trial.disordered, "==", 0)
        print(f"records repeated (at least once): {trial.repeated}")
    finally:
        trial.close()


def outage(rmq, trial):
    def away():
        for broker in rmq.masters():
            rmq.kill(broker)
        time.sleep(20)
        for broker in rmq.masters():
            rmq.start(only=broker)
        began.append(time.monotonic())
        trial.team.wait_settled(WORKERS, ALL)
        began.append(time.monotonic())
    began = []
    before, after, _ = trial.step(away)
    check("outage of 20 s: tasks restarted", sum(before[u] != after[u] for u in before), "==", 0,
          f"all run {began[1] - began[0]:.1f} s after the brokers are back")


def exactly_once(rmq, folder, rng, args, support):
    trial = Trial(rmq, folder / support, support[:3], rng, args.rate,
                  exactly__once__support=support)
    try:
        for _ in range(args.exact):
            trial.kill_and_join()
        slowest = [victims for victims, _ in trial.kills]
        print(f"exactly once ({support}): {statistics.median(slowest):.2f} s at the median, "
              f"{max(slowest):.2f} s at most, of {args.exact} kills")
        check(f"{support}: records lost", trial.lost, "==", 0)
        check(f"{support}: records twice", trial.repeated, "==", 0)
    finally:
        trial.close()


def main():
    parser = argparse.ArgumentParser(prog="scripts/show.sh cluster-moves")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--exact", type=int, default=3)
    parser.add_argument("--rate", type=float, default=20)
    args = parser.parse_args()
    rng = random.Random(int(os.environ.get("SHOW_SEED", "1")))
    folder = pathlib.Path(os.environ["SHOW_DIR"])
    with cluster.Cluster("5.5.0", brokers=2) as rmq:
        at_least_once(rmq, folder, rng, args)
        for support in ("strict", "required") if args.exact else ():
            exactly_once(rmq, folder, rng, args, support)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
