#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# summary: the client while brokers and name servers die, hang, fill up, refuse and lie
"""A stream of numbered messages, 8 queues, all of them with a batch under way, and an assigned
reader behind it, through each kind of trouble. What was stored is then read over a plain socket by
a checker that shares nothing with the client (stored.py): none lost, none out of order in a queue
(a repeat of what is there already is not out of order), repeats counted. The reader must have seen
each stored message once, in order, in its one session.

"back after": from the end of the fault, as seen by somebody who knocks at the broker's port every
10 ms, to the first message the broker acknowledges. "silence": the longest time between two
acknowledgements of that broker, the fault included.

Options: --count N messages at least per case (200,000; SHOW_COUNT), --rate N a second (20,000),
--only kill,cut (names in the first column), --away SECONDS of a fault that has no length (8),
--limit SECONDS that "back after" may take (15), --version of RocketMQ (5.5.0).
"""
import argparse
import collections
import contextlib
import os
import pathlib
import socket
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/rocketmq"))
import client_kit as kit  # noqa: E402
import cluster  # noqa: E402
import stored  # noqa: E402

KEYS = 1009
SEED = int(os.environ.get("SHOW_SEED", "1"))
VICTIM = "broker-0"
SETS = ["maxTransferCountOnMessageInMemory=1024", "maxTransferBytesOnMessageInMemory=1048576"]
now = time.monotonic_ns  # the same clock as rmq_peer's


class Case:
    """One kind of trouble: the stream, its reader, the times, the row of the table."""

    def __init__(self, args, table, name, rmq, topic=None, namesrv=None, send=(), read=()):
        self.args, self.table, self.name, self.rmq = args, table, name, rmq
        self.back = self.silence = self.begin = self.end = None
        self.topic = topic or rmq.create_topic(queues=8 // rmq.brokers)
        folder = kit.scratch()
        common = dict(topic=self.topic, quiet=True, progress=10, log=True, stats=True,
                      namesrv=namesrv or rmq.namesrv, routeRefresh=2000)
        self.reader = kit.Running(rmq, "consume", folder, **{
            **common, "assigned": True, "check": True, "from": 0, **dict(read)})
        self.reader.wait("the reader", lambda events: any(e["event"] == "started" for e in events))
        self.sender = kit.Running(rmq, "send", folder, **{
            **common, "count": 1 << 40, "keyed": KEYS, "size": 100, "rate": args.rate,
            "batchCount": 64, "pending": 128 << 20, "delivery": -1, **dict(send)})
        self.wait_sent(args.count // 4)

    # -- what the two have told

    @staticmethod
    def progress(process, broker=None):
        with process.changed:
            return [(e["at"], e["count"], e["broker"]) for e in process.events
                    if e["event"] == "progress" and broker in (None, e["broker"])]

    def count(self, process, broker=None):
        """Messages so far; what came in the last 10 ms may be missing."""
        last = {b: n for _, n, b in self.progress(process, broker)}
        return sum(last.values())

    def wait_sent(self, more):
        """Until so many more are stored."""
        goal = self.count(self.sender) + more
        cluster.wait_for(f"{goal} messages stored; {self.sender.said()[-600:]}",
                         lambda: self.alive() and self.count(self.sender) >= goal,
                         60 + 4 * more / self.args.rate)

    def alive(self):
        for process in (self.sender, self.reader):
            if process.process.poll() is not None:
                raise cluster.Trouble(f"it ended in {self.name}: {process.said()}")
        return True

    def gap(self, broker, since, until):
        """Longest time without an acknowledgement, in seconds."""
        times = [at for at, _, _ in self.progress(self.sender, broker) if since <= at <= until]
        times = [since, *times, until]
        return max(b - a for a, b in zip(times, times[1:])) / 1e9

    def log(self, process=None):
        return pathlib.Path((process or self.sender).err).read_text("utf-8", "replace")

    # -- the course of a case

    def fault(self):
        self.begin = now()

    def over(self, at=None):
        """The fault has ended: both must go on."""
        self.end = at or now()
        first = lambda process: next((at for at, _, _ in self.progress(process, self.victim)
                                      if at > self.end), None)
        for process in (self.sender, self.reader):
            cluster.wait_for(f"{self.name}: the first message after the fault; "
                             f"{process.said()[-600:]}",
                             lambda: self.alive() and first(process), 120)
        self.back = (first(self.sender) - self.end) / 1e9
        self.silence = self.gap(self.victim, self.begin, max(now(), self.end))

    victim = VICTIM

    def check(self, *args):
        return self.table.check(*args)

    def finish(self):
        """Stops the stream, and compares what was acknowledged, stored and read."""
        left = self.args.count - self.count(self.sender)
        self.wait_sent(max(left, self.args.count // 4))
        self.sender.process.terminate()
        self.sender.wait("the sender's total", lambda events: any(
            e["event"] == "total" for e in events), 180)  # behind a long fault there is much left
        self.sender.close()
        sent = kit.total(self.sender.events)
        self.stats = next(e for e in self.sender.events if e["event"] == "stats")
        there = Stored(self.rmq, self.topic, sent["sent"])
        read = lambda: self.count(self.reader) >= there.count
        with contextlib.suppress(cluster.Trouble):
            cluster.wait_for("the reader", read, 60 + there.count / 20000)
        self.reader.close()
        got = kit.total(self.reader.events)
        self.check("messages acknowledged", sent["sent"], ">=", self.args.count,
                   f"{self.stats['retries']:,} sends tried again")
        self.check("  failed", sent["failed"], "=", 0)
        self.check("  lost", there.lost, "=", 0, f"{there.count:,} stored")
        self.check("  out of order in a queue", there.disorder, "=", 0)
        self.table.note("  repeats", there.repeats)
        if self.back is not None:
            self.check("  back after (s)", self.back, "<=", self.args.limit,
                       f"silence {self.silence:.1f} s of {(self.end - self.begin) / 1e9:.1f} s fault")
        self.check("  read in one session", got["count"], "=", there.count)
        self.check("    lost, or out of order", got["missing"] + got["outOfOrder"], "=", 0)
        odd = [e for e in self.reader.events if e["event"] in ("back", "moved", "lost")]
        self.check("    offsets read twice", got["offsetsBack"], "=", 0, odd[:3] if odd else "")
        self.check("    repeats that are not in the queue", got["repeated"] - there.repeats, "=", 0)
        self.table.rows.append((self.name, sent["sent"], there.lost, there.disorder, there.repeats,
                                self.back, self.silence, got["count"] - there.count))

    def close(self):
        for process in (self.sender, self.reader):
            process.close(kill=True)


class Stored:
    """What the brokers have of a topic: numbers of each key, queue by queue."""

    def __init__(self, rmq, topic, sent):
        kit.visible(rmq, topic, sent, 60)
        self.settle(rmq, topic)
        self.count = self.disorder = self.repeats = self.foreign = 0
        self.last = collections.defaultdict(lambda: -1)  # greatest number of a key so far
        self.place = {}
        self.seen = bytearray(sent)
        self.sent = sent
        stored.read(rmq, topic, self.take)
        self.lost = self.seen.count(0) + self.foreign

    @staticmethod
    def settle(rmq, topic):
        """Until the broker shows all it has: the count rests for a second."""
        seen, since = rmq.count(topic), time.monotonic()
        while time.monotonic() - since < 1:
            time.sleep(0.1)
            count = rmq.count(topic)
            if count != seen:
                seen, since = count, time.monotonic()

    def take(self, message):
        """key:number; message `i` of the stream is number i / KEYS of key i % KEYS."""
        key, _, rest = message.body.partition(b":")
        number = int(rest.split(b" ", 1)[0])
        at = number * KEYS + int(key[1:])
        self.count += 1
        if at >= self.sent:
            self.foreign += 1
        elif self.seen[at]:
            self.repeats += 1
        else:
            self.seen[at] = 1
            where = (message.broker, message.queue)
            # Each key has one queue, and the next first copy in it is the next number.
            self.disorder += number != self.last[key] + 1 or self.place.setdefault(key, where) != where
            self.last[key] = number


class Faults(kit.Table):
    def __init__(self):
        super().__init__()
        self.rows = []

    def summary(self):
        print(f"\n{'fault':<22} {'messages':>10} {'lost':>6} {'disorder':>8} {'repeats':>8} "
              f"{'back after':>10} {'silence':>8} {'read +-':>7}")
        for name, sent, lost, disorder, repeats, back, silence, read in self.rows:
            text = lambda s: "-" if s is None else f"{s:.2f} s"
            print(f"{name:<22} {sent:>10,} {lost:>6,} {disorder:>8,} {repeats:>8,} "
                  f"{text(back):>10} {text(silence):>8} {read:>7}")
        print(f"{'all':<22} {sum(r[1] for r in self.rows):>10,}")


def port_open_at(port, stop):
    """When somebody answers at the port; None when `stop` is set before."""
    while not stop.is_set():
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return now()
        time.sleep(0.01)
    return None


def restart(rmq, name=VICTIM):
    """Starts a broker again; when its port opened."""
    found, stop = [], threading.Event()
    knock = threading.Thread(
        target=lambda: found.append(port_open_at(rmq.broker_port(name), stop)))
    knock.start()
    try:
        rmq.start(only=name)
    finally:
        stop.set()
        knock.join()
    return found[0] or now()


@contextlib.contextmanager
def case(args, table, name, rmq, **more):
    print(f"\n{name}", flush=True)
    one = Case(args, table, name, rmq, **more)
    try:
        yield one
    finally:
        one.close()


# ---- brokers ----

def kill(args, table):
    """kill -9 of a broker, started again."""
    with cluster.Cluster(args.version, brokers=2, sets=SETS) as rmq, \
            case(args, table, "kill", rmq) as c:
        c.fault()
        rmq.kill(VICTIM)
        time.sleep(args.away / 4)
        c.over(restart(rmq))
        c.finish()


def stop(args, table):
    """A broker is stopped in order, and started again."""
    with cluster.Cluster(args.version, brokers=2, sets=SETS) as rmq, \
            case(args, table, "stop", rmq) as c:
        c.fault()
        rmq.shut_down(VICTIM)
        c.over(restart(rmq))
        c.finish()


def master(args, table):
    """The master is lost, its slave is there; acknowledged means: on both."""
    sets = SETS + ["brokerRole=SYNC_MASTER", "inSyncReplicas=2"]
    with cluster.Cluster(args.version, brokers=2, slaves=True, sets=sets) as rmq:
        topic = rmq.create_topic(queues=4)
        cluster.wait_for("the slave has copied the topic (it begins to after a minute)", lambda:
                         topic.encode() in rmq.call("slave-0", 21)[1], 120)
        with case(args, table, "master", rmq, topic=topic, send=dict(ack="replicated"),
                  read=dict(slaves=True)) as c:
            c.fault()
            rmq.kill(VICTIM)
            away = now()
            time.sleep(0.5)  # what was acknowledged has been told by now
            before = c.count(c.sender, VICTIM)
            queues = ",".join(f"{VICTIM}:{i}" for i in range(4))
            late = kit.total(kit.peer(rmq, "consume", topic=c.topic, assigned=True, check=True,
                                      quiet=True, slaves=True, from_=0, queues=queues, idle=4000,
                                      good=None))
            c.check("read from the slave while the master is away", late["count"], ">=", before)
            c.check("  lost, or out of order", late["missing"] + late["outOfOrder"], "=", 0)
            time.sleep(args.away / 4)
            c.check("acknowledged for the lost master since", c.count(c.sender, VICTIM) - before,
                    "=", 0)
            c.check("longest silence of the other broker (s)", c.gap("broker-1", away, now()), "<=",
                    3)
            c.over(restart(rmq))
            c.finish()


def frozen(args, table):
    """Half-open: a relay forwards nothing and closes nothing."""
    with cluster.Cluster(args.version, brokers=2, sets=SETS) as rmq:
        relay = rmq.relay(SEED)
        with case(args, table, "half-open", rmq, namesrv=relay.namesrv) as c:
            c.fault()
            relay.do(f"freeze pair={rmq.address(VICTIM)}")
            time.sleep(args.away)
            c.check("longest silence of the other broker (s)", c.gap("broker-1", c.begin, now()),
                    "<=", 3)
            relay.do("clear")
            c.over()
            c.finish()


def full(args, table):
    """The broker's disk is full, and has room again. A small file system of its own."""
    disk = kit.scratch() / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3g", "tmpfs", disk], check=True)
    sets = SETS + [f"storePathRootDir={disk}/store", f"storePathCommitLog={disk}/store/commitlog",
                   "cleanResourceInterval=1000", "cleanFileForciblyEnable=false"]
    try:
        with cluster.Cluster(args.version, sets=sets) as rmq:
            time.sleep(61)  # a broker begins to look at its disk after a minute
            with case(args, table, "disk full", rmq) as c:
                ballast = fill(disk)
                cluster.wait_for("the refusal in the client's log",
                                 lambda: "SERVICE_NOT_AVAILABLE" in c.log(), 30)
                c.fault()
                time.sleep(args.away)
                c.check("acknowledged while the disk is full",
                        sum(1 for at, _, _ in c.progress(c.sender) if at > c.begin + 2e9), "=", 0)
                ballast.unlink()
                c.over()
                c.finish()
                line = next(x for x in c.log().splitlines() if "SERVICE_NOT_AVAILABLE" in x)
                table.note("  in the log", "", line[:600])
    finally:
        subprocess.run(["umount", disk], check=True)


def fill(disk):
    """A file that leaves 6 % of the disk; brokers refuse from 90 % on, and die when none is left."""
    ballast, size = disk / "ballast", 0
    with open(ballast, "wb") as file:
        while (at := os.statvfs(disk)).f_bfree > at.f_blocks * 0.06:  # the broker writes meanwhile
            os.posix_fallocate(file.fileno(), size, 32 << 20)
            size += 32 << 20
    return ballast


def busy_answers(c, words):
    c.check("  busy answers, all tried again", c.stats["busy_replies"], ">", 0,
            f"{c.stats['retries']:,} tries again")
    lines = [x for x in c.log().splitlines() if any(w in x for w in words)]
    c.check(f"  log lines with {' or '.join(words)}", len(lines), ">", 0, (lines or [""])[0][:400])


def busy(args, table):
    """The broker's send queue is so short that it refuses. RocketMQ 5.5.0 puts the answer to a batch
    into the same queue, and when that is full nobody is answered: repeats and silence here are of
    batches that were stored so."""
    sets = SETS + ["sendMessageThreadPoolNums=1", "sendThreadPoolQueueCapacity=1"]
    with cluster.Cluster(args.version, sets=sets) as rmq, case(args, table, "busy", rmq) as c:
        c.finish()
        busy_answers(c, ["SYSTEM_BUSY"])


def dropped(args, table):
    """Sends wait too long in the broker's queue and are dropped from it; it hangs now and then."""
    sets = SETS + ["sendMessageThreadPoolNums=1", "waitTimeMillsInSendQueue=1"]
    with cluster.Cluster(args.version, sets=sets) as rmq, case(args, table, "queue time", rmq) as c:
        c.fault()
        for _ in range(5):
            rmq.freeze()
            time.sleep(args.away / 10)
            rmq.thaw()
            time.sleep(1)
        c.over()
        c.finish()
        busy_answers(c, ["TIMEOUT_CLEAN_QUEUE"])


# ---- name server ----

def names(args, table):
    """The name server is lost, and comes back knowing nothing; brokers tell it after a while."""
    sets = SETS + ["registerNameServerPeriod=10000"]
    with cluster.Cluster(args.version, brokers=2, sets=sets) as rmq, \
            case(args, table, "name server", rmq) as c:
        c.fault()
        rmq.kill("namesrv")
        time.sleep(args.away)
        rmq.start(only="namesrv")
        started = now()
        cluster.wait_for("both brokers in the new route", lambda: len(rmq.route(c.topic)) == 2, 60)
        table.note("brokers are known again after (s)", (now() - started) / 1e9)
        c.over()
        c.back = 0.0  # nothing was away: the silence counts
        for broker in rmq.masters():
            c.check(f"longest silence of {broker} (s)", c.gap(broker, c.begin, now()), "<=", 3)
        c.finish()


# ---- wires ----

def cut(args, table):
    """1 of 1,000 packets ends in a reset."""
    with cluster.Cluster(args.version, brokers=2, sets=SETS) as rmq:
        relay = rmq.relay(SEED)
        with case(args, table, "cut", rmq, namesrv=relay.namesrv) as c:
            c.fault()
            relay.do("cut every=1000")
            c.wait_sent(args.count // 2)
            cluster.wait_for("5 cuts", lambda: sum(
                p["cuts"] for p in relay.do("stats").values()) >= 5, 120)
            cuts = sum(p["cuts"] for p in relay.do("clear").values())
            c.over()
            c.finish()
            table.note("  connections cut", cuts)


def lie(args, table, name, command):
    with cluster.Cluster(args.version, brokers=2, sets=SETS) as rmq:
        relay = rmq.relay(SEED)
        with case(args, table, name, rmq, namesrv=relay.namesrv) as c:
            c.fault()
            relay.do(command)
            cluster.wait_for("5 lies", lambda: c.alive() and sum(
                p["lies"] for p in relay.do("stats").values()) >= 5, 120)
            lies = sum(p["lies"] for p in relay.do("clear").values())
            c.over()
            c.finish()
            table.note("  lies", lies)


def huge(args, table):
    """Replies whose length is a lie."""
    lie(args, table, "oversized frame", "huge every=500")


def stray(args, table):
    """Replies to requests that nobody made."""
    lie(args, table, "wrong opaque", "stray every=500")


# ---- the same on the fake broker ----

UNITS = {
    "rocketmq_remote": "oversized frames, wrong opaques, cuts, silence, refusals",
    "rocketmq_lane": "cuts, frozen and killed brokers, late copies, busy, weak acks",
    "rocketmq_producer": "brokers away, unknown outcomes, failures in the middle",
    "rocketmq_consumer": "faults under a reader, slaves, killed and back",
    "rocketmq_client": "dead and frozen name servers",
}


def units(_, table):
    """Unit tests on a fake broker that lies on purpose."""
    folder = ROOT / "build/dev"
    print("\nunit tests on the fake broker", flush=True)
    for command in (["cmake", "--preset", "dev"],
                    ["cmake", "--build", "--preset", "dev", "--target", *UNITS]):
        done = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=False)
        if done.returncode:
            table.check("they are built", done.stdout[-1000:] + done.stderr, "=", "yes")
            return
    for name, what in UNITS.items():
        done = subprocess.run(["ctest", "--test-dir", folder, "-R", f"^{name}$", "--no-tests=error",
                               "--output-on-failure"], cwd=ROOT, text=True, capture_output=True,
                              check=False)
        table.check(name, done.returncode, "=", 0, what)
        if done.returncode:
            print(done.stdout[-1500:])


CASES = {"kill": kill, "stop": stop, "master": master, "names": names, "frozen": frozen,
         "cut": cut, "busy": busy, "dropped": dropped, "huge": huge, "stray": stray, "full": full,
         "units": units}


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--count", type=int, default=int(os.environ.get("SHOW_COUNT", 200_000)))
    options.add_argument("--rate", type=int, default=20_000)
    options.add_argument("--only", default=",".join(CASES))
    options.add_argument("--away", type=float, default=8)
    options.add_argument("--limit", type=float, default=15)
    options.add_argument("--version", choices=cluster.VERSIONS, default=cluster.VERSIONS[0])
    args = options.parse_args()
    table = Faults()
    for name in args.only.split(","):
        try:
            CASES[name](args, table)
        except cluster.Trouble as why:
            table.check(f"{name}: trouble", str(why)[:2000], "=", "none")
    table.summary()
    table.end()


if __name__ == "__main__":
    main()
