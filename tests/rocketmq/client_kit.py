# SPDX-License-Identifier: Apache-2.0
"""The C client in shows and tests: rmq_peer as a process, bench/limit, and a table of checks."""
import json
import os
import pathlib
import signal
import subprocess
import sys

import cluster

ROOT = pathlib.Path(__file__).resolve().parents[2]


def build():
    """The build folder whose programs are shown."""
    if "SHOW_BIN" in os.environ:
        return pathlib.Path(os.environ["SHOW_BIN"]).parent
    return pathlib.Path(os.environ.get("RC_BUILD", ROOT / "build/dev")).resolve()


def peer_program():
    return build() / "tests/tools/rmq_peer"


class Table:
    """Rows of a show: name, value, ok or FAIL."""

    def __init__(self):
        self.failures = 0

    def check(self, name, value, op, want, remark=""):
        good = {"=": lambda: value == want, "!=": lambda: value != want,
                ">=": lambda: value >= want, "<=": lambda: value <= want,
                ">": lambda: value > want, "<": lambda: value < want}[op]()
        self.failures += not good
        print(f"{name:<58} {self._text(value):>14}  {'ok' if good else 'FAIL':<4} "
              f"({op} {self._text(want)}) {remark}", flush=True)
        return good

    def note(self, name, value, remark=""):
        print(f"{name:<58} {self._text(value):>14}  {remark}", flush=True)

    @staticmethod
    def _text(value):
        if isinstance(value, bool):
            return "yes" if value else "no"
        if isinstance(value, float):
            return f"{value:,.3f}" if abs(value) < 100 else f"{value:,.0f}"
        return f"{value:,}" if isinstance(value, int) else str(value)

    def end(self):
        if self.failures:
            print(f"{self.failures} checks failed")
        sys.exit(1 if self.failures else 0)


def words(options):
    """{"batchCount": 5} as --batchCount 5, booleans as true and false, objects as JSON."""
    found = []
    for name, value in options.items():
        if isinstance(value, bool):
            value = "true" if value else "false"
        elif isinstance(value, (dict, list)):
            value = json.dumps(value, ensure_ascii=False)
        found += ["--" + name.rstrip("_"), str(value)]
    return found


def command(rmq, name, **options):
    base = [str(peer_program()), "--namesrv", options.pop("namesrv", rmq.namesrv)]
    if rmq.acl:
        base += ["--acl", rmq.acl]
    if rmq.tls:
        base += ["--tls", "true"]
    return base + [name] + words(options)


def peer(rmq, name, seconds=120, good=(0,), **options):
    """Runs a command of rmq_peer to its end; its events. Another status than `good` is Trouble."""
    argv = command(rmq, name, **options)
    done = subprocess.run(argv, text=True, capture_output=True, encoding="utf-8", timeout=seconds,
                          check=False)
    if good is not None and done.returncode not in good:
        raise cluster.Trouble(f"{' '.join(argv)} ended with {done.returncode}: "
                              f"{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def visible(rmq, topic, count, seconds=20):
    """How many messages a topic shows. What is stored becomes visible a little later, so it waits
    until `count` are."""
    try:
        cluster.wait_for(f"{count} messages", lambda: rmq.count(topic) >= count, seconds)
    except cluster.Trouble:
        pass  # the number tells
    return rmq.count(topic)


def total(events):
    return [e for e in events if e["event"] == "total"][-1]


class Running(cluster._Lines):
    """A command of rmq_peer that goes on; close() is SIGTERM."""

    def __init__(self, rmq, name, folder, **options):
        super().__init__(command(rmq, name, **options),
                         pathlib.Path(folder) / f"c-{next(cluster._numbers)}.err")

    def messages(self):
        with self.changed:
            return [cluster.unpack(e) for e in self.events if e["event"] == "message"]

    @property
    def queues(self):
        """{(topic, broker, queue)} it has now, retry topics left out."""
        with self.changed:
            told = [e for e in self.events if e["event"] == "queues"]
        names = [x.split(" ") for x in told[-1]["queues"]] if told else []
        return {(t, b, int(q)) for t, b, q in names if not t.startswith("%RETRY%")}

    def close(self, kill=False):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
        super().close(kill)


def measure(argv, seconds=600):
    """Runs bench/limit or a bench of rmq_peer; its key=value line as numbers, and rss_mib."""
    process = subprocess.Popen([str(a) for a in argv], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    text = process.stdout.read()
    complaint = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise cluster.Trouble(f"{' '.join(map(str, argv))}: {text}{complaint}")
    line = [x for x in text.splitlines() if "messages_per_s=" in x][-1]
    found = {k: float(v) for k, v in (w.split("=") for w in line.split()[1:])}
    found["rss_mib"] = usage.ru_maxrss / 1024
    return found


def cpu_s(pid):
    """User and system seconds of a process so far."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def scratch():
    """The show's folder."""
    return pathlib.Path(os.environ.get("SHOW_DIR") or os.getcwd())
