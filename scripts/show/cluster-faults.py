#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# summary: a cluster of 3 workers through 12 faults: what stops for how long, what is lost
"""Three workers run 12 connectors with 60 tasks on a RocketMQ of two brokers. Each task follows a
file that grows by numbered lines; 8 connectors store at least once, 4 with
exactly.once.support=strict. Then, one at a time:

  kill         kill -9 of a worker                     term       SIGTERM of a worker
  freeze       SIGSTOP of a worker, SIGCONT 60 s later clock      a worker's clock jumps by 10 min
  cut-brokers  a worker's cable to the brokers, 30 s   disk       a worker's local disk is full
  cut-workers  its cable to the workers, 30 s          namesrv    kill -9 of the name server, 5 s
  cut-all      both, 30 s                              broker-5   kill -9 of a broker, 5 s away
  home         kill -9 of the broker that is home of   broker-60  the same, 60 s away
               the ownership queue, 30 s away

A row says, by what a program of its own reads from the topics (tests/rocketmq/sequence_check.py):

  still     seconds after the fault until every task had new records again (pauses of 1 s and more)
  pause     the longest time any task was without a new record
  rejoin    the same for what began when a worker came back and got its share again
  restarts  tasks that have another generation now, and how many of them were the victim's
  lost, disordered     records; always 0
  repeated  at least once: records stored again; `strict`: what readers see twice, always 0
  late      most batches of one former generation in one queue behind its successor: at most 1

--only CASE[,CASE...]; --frozen S (60), --cut S (30), --away S (60) shorten; --rate N: lines/s of
each file (10).
"""
import argparse
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/rocketmq"))
import cluster  # noqa: E402
import distributed_kit as kit  # noqa: E402
import netns  # noqa: E402

WORKERS, CONNECTORS, TASKS, STRICT = 3, 12, 5, 4
ALL = CONNECTORS * TASKS
FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"
REJOIN_MAX = 5  # s without a record of a task that is handed over, strict ones wait 3
TAIL = 3  # s that a strict task waits at most when it takes over
HEADS = ("case", "fault s", "still s", "pause s", "rejoin", "restarts", "lost", "disord",
         "repeated", "strict", "late", "")
ROW = "{:<12} {:>8} {:>8} {:>8} {:>7} {:>9} {:>5} {:>6} {:>8} {:>6} {:>4}  {}"


class Case:
    """`run` makes the fault and returns how long it lasted. Tasks must run again `limit` s after
    the fault began, or ended when `heals`; `moves`: whether the victim's tasks may move. `before`
    and `after` change the victim where nothing is measured."""

    def __init__(self, name, run, limit, heals=False, moves=False, before=None, after=None):
        self.name, self.run, self.limit = name, run, limit
        self.heals, self.moves, self.before, self.after = heals, moves, before, after


class Show:
    def __init__(self, args, folder, net):
        self.args, self.net, self.folder = args, net, folder
        self.rng = random.Random(int(os.environ.get("SHOW_SEED", "1")))
        self.rmq = cluster.Cluster("5.5.0", brokers=2, host=net and net.host).start()
        self.names = [f"c{i:02}" for i in range(CONNECTORS)]
        self.strict = set(self.names[CONNECTORS - STRICT:])
        for name in self.names:
            self.rmq.create_topic(self.topic(name), queues=2)
        self.lines = kit.Lines(folder / "lines", self.names, TASKS, args.rate)
        self.team = kit.Team(folder, self.rmq, make=self.make)
        self.checker = kit.Checker(self.rmq, [self.topic(n) for n in self.names])
        self.relays = []
        self.generations, self.moved, self.returned = {}, None, None

    @staticmethod
    def topic(name):
        return f"lines-{name}"

    def make(self, folder, **keys):
        number = len(self.team.members)
        if not self.net:
            relay = self.rmq.relay()
            self.relays.append(relay)
            return kit.Member(folder, relay.namesrv, **keys)
        keys.update({"rest.host": "0.0.0.0", "httpPort": 8100,
                     "rest.advertised.url": f"http://{self.net.address(number)}:8100"})
        member = kit.Member(folder, self.rmq.namesrv, **keys)
        member.prefix, member.host = self.net.prefix(number), self.net.address(number)
        return member

    def prepare(self):
        self.team.start(WORKERS)
        for name in self.names:
            more = {"exactly.once.support": "strict"} if name in self.strict else {}
            self.team.create(name, self.lines, self.topic(name), **more)
        self.team.wait_settled(WORKERS, ALL, 120)
        self.lines.start()

    def close(self):
        self.lines.close()
        self.team.kill()
        self.checker.close()
        self.rmq.stop()
        if self.net:
            self.net.close()

    # ---- one case

    def measure(self, case):
        victim = self.rng.choice(self.team.members)
        for member in self.team:
            if not member.runs:
                member.start()
        self.team.wait_settled(WORKERS, ALL, 120)
        if case.before:
            case.before(self, victim)
            self.team.wait_settled(WORKERS, ALL, 120)
        self.lines.go()
        written = {name: count + 10 for name, count in self.lines.written.items()}
        cluster.wait_for("lines of all tasks",
                         lambda: self.checker.ask(written=written).get("lost") == 0, 60)
        self.checker.ask(written={}, since=0)  # what is counted is counted from here on
        self.generations = self.team.generations()
        self.moved = self.returned = None
        began = time.time()
        lasted = case.run(self, victim)
        healed = time.time() - began
        self.wait_flow(case)
        if self.moved is None:
            self.note_moved(victim)
        self.lines.pause()
        found = self.checker.judge(self.lines.written, int(began * 1000), self.returned)
        if case.after:
            case.after(self, victim)
        return self.tell(case, lasted, healed, found,
                         {u for u, place in self.generations.items() if place[1] == victim.name})

    def note_moved(self, victim):
        """What has moved until now: a worker that comes back will get its share again."""
        now = self.team.generations(self.team.any(but=(victim,)))
        self.moved = {u for u, place in now.items() if place[0] != self.generations[u][0]}

    def returns(self, victim):
        """The victim comes back now: what moves from here on is its share."""
        self.note_moved(victim)
        self.returned = int(time.time() * 1000)

    def wait_flow(self, case):
        """Until lines written from now on are copied, and pauses that go on can be seen."""
        time.sleep(1.5)
        written = dict(self.lines.written)
        try:
            cluster.wait_for("lines of all tasks",
                             lambda: self.checker.ask(written=written).get("lost") == 0,
                             case.limit + 60)
        except cluster.Trouble:
            pass  # the row says how many
        time.sleep(1.5)

    def tell(self, case, lasted, healed, found, victims):
        moved = self.moved
        still = max(found["back"].values()) / 1000
        pause = max(p[0] for p in found["pauses"].values()) / 1000
        strict = sum(n for part, n in found["repeated"].items() if part[:3] in self.strict)
        repeated = sum(found["repeated"].values()) - strict
        limit = case.limit + (healed if case.heals else 0)
        wrong = []
        if found["lost"] or found["disordered"] or strict:
            wrong.append("records")
        if found["late"] > 1:
            wrong.append("late batches")
        if still > limit:
            wrong.append(f"still > {limit:.1f} s")
        if found["later"] > REJOIN_MAX * 1000:
            wrong.append(f"rejoin > {REJOIN_MAX} s")
        if not case.moves and moved or moved - victims:
            wrong.append("tasks moved that had not to")
        print(ROW.format(case.name, f"{lasted:.1f}", f"{still:.1f}", f"{pause:.1f}",
                         f"{found['later'] / 1000:.1f}",
                         f"{len(moved)}/{len(moved & victims)}", found["lost"], found["disordered"],
                         repeated, strict, found["late"],
                         "FAIL: " + ", ".join(wrong) if wrong else "ok"), flush=True)
        return not wrong

    # ---- faults

    def kill_worker(self, victim):
        victim.kill()
        return 0

    def term_worker(self, victim):
        begin = time.monotonic()
        if victim.stop(60):
            raise cluster.Trouble(f"{victim.name} ended badly: {victim.said()[-2000:]}")
        return time.monotonic() - begin

    def freeze_worker(self, victim):
        victim.signal(signal.SIGSTOP)
        time.sleep(self.args.frozen)
        self.returns(victim)
        victim.signal(signal.SIGCONT)
        return self.args.frozen

    def cut(self, victim, *planes):
        number = self.team.members.index(victim)
        if self.net:
            self.net.cut(number, *planes)
        else:
            self.relays[number].do("freeze")
        time.sleep(self.args.cut)
        self.returns(victim)
        if self.net:
            self.net.heal(number)
        else:
            self.relays[number].do("clear")
        return self.args.cut

    def server_away(self, name, seconds):
        begin = time.monotonic()
        self.rmq.kill(name)
        time.sleep(seconds)
        self.rmq.start(only=name)
        return time.monotonic() - begin

    @property
    def home(self):
        """The broker of the ownership queue."""
        return "broker-" + self.team.any().view()["home"].rsplit("-", 1)[1]

    def other_broker(self):
        return next(b for b in self.rmq.masters() if b != self.home)

    def small_disk(self, victim):
        victim.stop(60)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", victim.folder / "store"],
                       check=True)
        victim.start()

    def fill_disk(self, victim):
        with open(victim.folder / "store/ballast", "wb", buffering=0) as ballast:
            try:
                while True:
                    ballast.write(bytes(4096))
            except OSError:
                pass
        time.sleep(10)
        return 10

    def real_disk(self, victim):
        victim.stop(60)
        subprocess.run(["umount", "-l", victim.folder / "store"], check=True)

    def fake_clock(self, victim):
        stamp = victim.folder / "faketime"
        stamp.write_text("+0\n", "ascii")
        victim.stop(60)
        victim.more_env = {"LD_PRELOAD": FAKETIME, "FAKETIME_TIMESTAMP_FILE": str(stamp),
                           "FAKETIME_NO_CACHE": "1", "DONT_FAKE_MONOTONIC": "1",
                           "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        victim.start()

    def jump_clock(self, victim):
        (victim.folder / "faketime").write_text("+600\n", "ascii")
        time.sleep(15)
        return 15

    def real_clock(self, victim):
        victim.stop(60)
        victim.more_env = {}


def cases(args):
    """Limits: the bounds of docs/user-guide.md, and 3 s for what `strict` waits."""
    return [
        Case("kill", Show.kill_worker, 2.5 + TAIL, moves=True),
        Case("freeze", Show.freeze_worker, 12 + TAIL, moves=True),
        Case("term", Show.term_worker, 3, moves=True),
        Case("cut-brokers", lambda s, v: s.cut(v, "brokers"), 12 + TAIL, moves=True),
        Case("cut-workers", lambda s, v: s.cut(v, "workers"), 1),
        Case("cut-all", lambda s, v: s.cut(v, "brokers", "workers"), 12 + TAIL, moves=True),
        Case("broker-5", lambda s, v: s.server_away(s.other_broker(), 5), 10, heals=True),
        Case("broker-60", lambda s, v: s.server_away(s.other_broker(), args.away), 10, heals=True),
        Case("home", lambda s, v: s.server_away(s.home, 30), 10, heals=True),
        Case("namesrv", lambda s, v: s.server_away("namesrv", 5), 1),
        Case("disk", Show.fill_disk, 1, before=Show.small_disk, after=Show.real_disk),
        Case("clock", Show.jump_clock, 1, before=Show.fake_clock, after=Show.real_clock),
    ]


def needs(case, net):
    """Why a case cannot be here; None."""
    if case.name in ("cut-workers", "cut-all", "disk") and not net:
        return "needs network namespaces and mounts (root)"
    if case.name == "clock" and not os.path.exists(FAKETIME):
        return "needs libfaketime (apt-get install faketime)"
    return None


def main():
    parser = argparse.ArgumentParser(prog="scripts/show.sh cluster-faults")
    parser.add_argument("--only", default="")
    parser.add_argument("--frozen", type=float, default=60)
    parser.add_argument("--cut", type=float, default=30)
    parser.add_argument("--away", type=float, default=60)
    parser.add_argument("--rate", type=float, default=10)
    args = parser.parse_args()
    wanted = args.only.split(",") if args.only else [c.name for c in cases(args)]
    unknown = set(wanted) - {c.name for c in cases(args)}
    if unknown:
        parser.error(f"no such case: {', '.join(sorted(unknown))}")
    net = netns.Net(WORKERS) if netns.enter() else None
    show, good = None, True
    try:
        show = Show(args, pathlib.Path(os.environ["SHOW_DIR"]), net)
        show.prepare()
        print(ROW.format(*HEADS))
        for case in cases(args):
            if case.name in wanted and needs(case, net):
                print(f"{case.name:<12} not here: {needs(case, net)}")
            elif case.name in wanted:
                try:
                    good = show.measure(case) and good
                except cluster.Trouble as trouble:
                    good = False
                    print(f"{case.name:<12} FAIL: {trouble}", flush=True)
                    break  # what follows would measure the consequences
    finally:
        if show:
            show.close()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
