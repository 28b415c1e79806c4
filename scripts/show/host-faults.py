#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# summary: hosted connectors that crash, hang, flood and lie: others never notice, nothing is lost
"""A worker with a native copy that never rests, and one hosted connector after another that does the
worst: in the Java host (a user's OpenMessaging connector), in a process of its own in C
(isolation=process), and a foreign host that breaks the protocol.

Each case moves records, goes wrong once in the middle and has to end with all of them. Shown are how
long the fault took to be found (exits at once, hangs by the deadline that is configured), how long
from the death of the process to the first record of the next one, and the reason as the task's
status or the worker's log gives it. The native copy is compared line by line, its state is looked
at all the time, and its longest pause is measured.

  scripts/show.sh host-faults [--only WORD] [--records N]
"""
import argparse
import os
import pathlib
import re
import shutil
import signal
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/faults"))
sys.path.insert(0, str(ROOT / "tests/hosts"))
import kit  # noqa: E402
import hosts_kit  # noqa: E402

AGAIN_MAX_S = 0.5
PAUSE_MAX_S = 0.5
DEADLINES = {"host.heartbeat": "300ms", "host.poll.timeout": "3s", "host.call.timeout": "2s",
             "host.stop.timeout": "1s", "host.memory.max": "512MiB", "host.crashes.max": 5,
             "offsetCommitIntervalMsConfig": 100}  # file-sink shows its lines with every commit
# name, fault, what the reason has to say, whether the process dies
JAVA = [("exception", "poll-throw", "the tick is broken", False),
        ("NoClassDefFoundError", "poll-error", "com/example/Missing", False),
        ("System.exit", "poll-exit", "exit status 7", True),
        ("segmentation fault", "poll-segv", "signal 6|signal 11|exit status 134", True),
        ("heap exhausted", "poll-heap", "exit status 3", True),
        ("deadlock", "poll-deadlock", "'poll' of .* did not return within 3000 ms", True),
        ("endless loop", "poll-spin", "'poll' of .* did not return within 3000 ms", True),
        ("1 GiB on stdout", "poll-flood", "more lines were not shown", False),
        ("stop never returns", "stop-block", "'stop' of .* did not return within 1000 ms", True),
        ("garbage frames", "poll-garbage", "protocol error: [a-z-]+: ", True),
        ("kill -9", "", "signal 9", True)]
NATIVE = [("exit()", "exit", "exit status 7", True),
          ("segmentation fault", "segv", "signal 11", True),
          ("memory exhausted", "hog", "signal 11|signal 6", True),
          ("deadlock", "block", "'poll' of .* did not return within 3000 ms", True),
          ("endless loop", "spin", "'poll' of .* did not return within 3000 ms", True),
          ("1 GiB on stdout", "flood", "more lines were not shown", False),
          ("garbage frames", "garbage", "protocol error: [a-z-]+: ", True),
          ("kill -9", "", "signal 9", True)]
FAKE = ["frame-too-long", "unknown-schema", "credit-exceeded", "unexpected-reply", "too-deep",
        "truncated", "wrong-sequence", "unknown-frame", "unknown-instance", "wrong-kind",
        "bad-reference"]


class Bystander(threading.Thread):
    """The native copy: lines appended to its source all the time, its output watched."""

    def __init__(self, worker):
        super().__init__(daemon=True)
        self.worker, self.over = worker, threading.Event()
        self.source, self.output = worker.folder / "calm-in.txt", worker.folder / "calm-out.txt"
        self.source.touch()
        self.lines, self.pause_s, self.answer_s, self.wrong = 0, 0.0, 0.0, ""
        self.paused_at = "-"
        self.asking = threading.Thread(target=self.ask, daemon=True)
        worker.create("calm-in", connector__class="file-source", filename=self.source,
                      connect__topicname="calm")
        worker.create("calm-out", connector__class="file-sink", filename=self.output,
                      connect__topicnames="calm")

    def run(self):
        size, since = 0, time.monotonic()
        self.asking.start()
        with open(self.source, "a", buffering=1) as out:
            while not self.over.wait(0.01):
                out.write("".join(f"calm {self.lines + n}\n" for n in range(20)))
                self.lines += 20
                now, grown = time.monotonic(), kit.size_of(self.output)
                if grown != size:
                    size, since = grown, now
                if now - since > self.pause_s:
                    self.pause_s, self.paused_at = now - since, \
                        time.strftime("%H:%M:%S", time.gmtime())

    def ask(self):
        while not self.over.wait(0.1):
            for name in ("calm-in", "calm-out"):
                began = time.monotonic()
                states = self.worker.states(name)
                self.answer_s = max(self.answer_s, time.monotonic() - began)
                if states != ["RUNNING"]:
                    self.wrong = self.wrong or f"{name} was {states}"

    def finish(self):
        self.over.set()
        self.join()
        self.asking.join()
        kit.wait_for("the end of the native copy",
                     lambda: kit.size_of(self.output) >= kit.size_of(self.source), 20)
        return self.source.read_bytes() == self.output.read_bytes()


class Watch(threading.Thread):
    """When the process died, and every text the task's status gave as a reason."""

    def __init__(self, worker, name, pid):
        super().__init__(daemon=True)
        self.worker, self.name, self.pid = worker, name, pid
        self.over, self.died, self.reasons = threading.Event(), None, {}

    def run(self):
        turn = 0
        while not self.over.wait(0.002):
            if self.died is None and not hosts_kit.alive(self.pid):
                self.died = time.time()
            turn += 1
            if turn % 5 == 0:
                try:
                    for task in self.worker.status(self.name)["tasks"]:
                        if task.get("trace"):
                            self.reasons.setdefault(task["trace"].splitlines()[0], task["state"])
                except (OSError, KeyError, hosts_kit.Trouble):
                    pass


class Case:
    def __init__(self, worker, number, name, reason, dies):
        self.worker, self.name, self.reason, self.dies = worker, name, reason, dies
        self.connector = f"bad{number}"
        self.marker = worker.folder / f"once-{number}"
        self.output = worker.folder / f"out-{number}.txt"
        self.said_from = len(worker.said())
        self.why = ""
        worker.create(f"{self.connector}-out", connector__class="file-sink",
                      filename=self.output, connect__topicnames=f"t{number}")

    def run(self, config, lines, half, provoke=None):
        """`lines` that have to come; the fault is behind the first `half`."""
        before = sum(len(line) + 1 for line in lines[:half])
        self.worker.create(self.connector, connect__topicname=self.connector.replace("bad", "t"),
                           **config)
        pid = kit.wait_for("the host", lambda: hosts_kit.host_of(self.worker, self.connector), 20)
        watch = Watch(self.worker, self.connector, pid)
        watch.start()
        if provoke:
            kit.wait_for("the first half", lambda: kit.size_of(self.output) >= before, 30)
            provoke(pid)
        again = self.await_growth(before)
        kit.wait_for(f"{len(lines)} lines of {self.connector}; "
                     f"{self.worker.said()[-600:]}", lambda: hosts_kit.count_lines(self.output) >=
                     len(lines), 60, 0.05)
        watch.over.set()
        watch.join()
        self.judge(watch, again, lines)

    def await_growth(self, before):
        kit.wait_for(f"records behind the fault of {self.connector}; {self.worker.said()[-600:]}",
                     lambda: kit.size_of(self.output) > before, 60, 0.002)
        return time.time()

    def judge(self, watch, again, lines):
        said = self.worker.said()[self.said_from:]
        fault = self.marker.stat().st_mtime if self.marker.exists() else watch.died
        shown = [f"{state}: {text}" for text, state in watch.reasons.items()
                 if re.search(self.reason, text)]
        logged = [line for line in said.splitlines() if re.search(self.reason, line)]
        found_s = (watch.died - fault) if watch.died else 0.0
        again_s = again - watch.died if watch.died else again - fault
        if self.output.read_text().splitlines() != lines:
            self.why = "the records are not those expected"
        elif not shown and not logged:
            self.why = f"no reason /{self.reason}/"
        elif self.dies != bool(watch.died):
            self.why = f"the host {'died' if watch.died else 'lives'}"
        elif self.dies and again_s > AGAIN_MAX_S:
            self.why = f"first record after {again_s:.2f} s"
        text = (shown or [re.sub(r"^\S+ \S+ +", "log: ", line) for line in logged] or ["-"])[0]
        print(f"{self.name:34} {f'{found_s:6.2f}' if watch.died else '     -'} {again_s:7.2f}  "
              f"{'ok' if not self.why else 'FAIL ' + self.why}\n    {text[:180]}", flush=True)

    def remove(self):
        for name in (self.connector, f"{self.connector}-out"):
            self.worker.remove(name)


def java_case(worker, number, row, count):
    name, fault, reason, dies = row
    case = Case(worker, number, f"java: {name}", reason, dies)
    gate = worker.folder / f"gate-{number}"
    config = {"connector__class": hosts_kit.TICK, "count": count, "fault": fault,
              "fault__once": case.marker, "fault__after": count // 2}

    def kill(pid):
        os.kill(pid, signal.SIGKILL)
        gate.touch()  # what comes from now on comes from the next host

    def stop(_):
        worker.update(case.connector, {k.replace("__", "."): str(v) for k, v in dict(
            config, count=count, connect__topicname=f"t{number}").items()})
    provoke = None
    if not fault:
        config["gate"], provoke = gate, kill
    elif fault.startswith("stop"):
        config["count"], provoke = count // 2, stop
    case.run(config, [f"tick {n}" for n in range(1, count + 1)], count // 2, provoke)
    case.remove()
    return case


def native_case(worker, number, row, count):
    name, deed, reason, dies = row
    case = Case(worker, number, f"C: {name}", reason, dies)
    half = count // 2
    if not deed:
        return native_kill(worker, number, case, count)
    config = {"connector__class": "trouble-source", "isolation": "process", "count": count,
              "finish": "false", "after": half, "once": case.marker, "text": "c"}
    config.update({"block": "poll"} if deed == "block" else {"havoc": deed, "havoc__call": "poll"})
    case.run(config, [f"c-{n}" for n in range(count)], half)
    case.remove()
    return case


def native_kill(worker, number, case, count):
    source = worker.folder / f"in-{number}.txt"
    lines = [f"f-{n}" for n in range(count)]
    source.write_text("".join(line + "\n" for line in lines[:count // 2]))

    def kill(pid):
        os.kill(pid, signal.SIGKILL)
        with open(source, "a", encoding="ascii") as out:
            out.write("".join(line + "\n" for line in lines[count // 2:]))
    case.run({"connector__class": "file-source", "isolation": "process", "filename": source},
             lines, count // 2, kill)
    case.remove()
    return case


def fake_case(worker, number, bug, count):
    case = Case(worker, number, f"protocol: {bug}", f"protocol error: {bug}: ", True)
    case.run({"connector__class": "fake.Source", "count": count, "rate": 100, "bounded": "false",
              "batch__records__max": 100, "fault": bug, "fault__at": count // 2,
              "fault__once": case.marker},
             [f"r{n}" for n in range(1, count + 1)], count // 2)
    case.remove()
    return case


def prepare(top):
    hosts_kit.build_java()
    plugins = top / "plugins"
    hosts_kit.manifest(plugins, "fake", [hosts_kit.FAKE])
    shutil.copy(hosts_kit.EXAMPLE, plugins)
    hosts_kit.build_trouble(plugins)
    worker = hosts_kit.Worker(top / "worker", pluginPaths=plugins, **DEADLINES)
    return worker.start()


def run_all(worker, options):
    work = ([(java_case, row, f"java: {row[0]}") for row in JAVA] +
            [(native_case, row, f"C: {row[0]}") for row in NATIVE] +
            [(fake_case, bug, f"protocol: {bug}") for bug in FAKE])
    failed = 0
    for number, (run, row, title) in enumerate(work):
        if options.only and options.only not in title:
            continue
        try:
            failed += bool(run(worker, number, row, options.records).why)
        except (hosts_kit.Trouble, kit.Trouble, OSError) as trouble:
            print(f"{title:34} FAIL {trouble}", flush=True)
            failed += 1
    return failed


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="")
    parser.add_argument("--records", type=int, default=20000)
    options = parser.parse_args()
    top = pathlib.Path(os.environ["SHOW_DIR"])
    worker = prepare(top)
    pid = worker.process.pid
    print("deadlines: " + ", ".join(f"{k}={v}" for k, v in DEADLINES.items()))
    print(f"{'case':34} {'found':>6} {'again':>7}  seconds: fault to death, death to first record")
    calm = Bystander(worker)
    kit.wait_for("the native copy", lambda: worker.states("calm-in") + worker.states("calm-out")
                 == ["RUNNING"] * 2)
    calm.start()
    try:
        failed = run_all(worker, options)
        same = calm.finish()
    finally:
        code = worker.stop() if worker.process.poll() is None else worker.process.returncode
    rows = [("the worker is the same process, ends with 0", worker.process.pid == pid and code == 0,
             f"exit status {code}"),
            ("native copy: every line, once, in order", same, f"{calm.lines:,} lines"),
            ("native copy: RUNNING all the time", not calm.wrong, calm.wrong or "both tasks"),
            (f"native copy: longest pause <= {PAUSE_MAX_S} s", calm.pause_s <= PAUSE_MAX_S,
             f"{calm.pause_s:.2f} s until {calm.paused_at}"),
            (f"REST: longest answer about it <= {PAUSE_MAX_S} s", calm.answer_s <= PAUSE_MAX_S,
             f"{calm.answer_s:.2f} s"),
            ("cases", not failed, f"{failed} failed")]
    for title, good, text in rows:
        print(f"{title:50} {text:>24}  {'ok' if good else 'FAIL'}")
    return 0 if all(good for _, good, _ in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
