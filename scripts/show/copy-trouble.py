#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# summary: full disks, missing and strange files, 50 wrong configurations: what is said, nothing lost
"""What a user sees when something is wrong, and proof that the copy is exact when it is over.

Every case runs a copy, makes the trouble, takes the state and the message that the worker shows,
ends the trouble and compares output and input. A message must name the key or file, and the cure.
Small disks are tmpfs in a mount namespace of their own; the unreadable file is met by the user
nobody, since root reads everything.

  scripts/show.sh copy-trouble [--lines N] [--only WORD]
"""
import argparse
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests/faults"))
import kit  # noqa: E402
import wrong_configs  # noqa: E402

TOP = None
SEED = int(os.environ.get("SHOW_SEED", "1"))
CASES = []


class Row:
    """What one case found. fail() keeps the first reason."""

    def __init__(self):
        self.state = self.message = ""
        self.lost = "-"
        self.why = ""

    def fail(self, why):
        self.why = self.why or why

    def expect(self, *words):
        for word in words:
            if not re.search(word, self.message, re.I | re.S):
                self.fail(f"the message does not say /{word}/")

    def judge(self, copy, count):
        ok, text = copy.check(count)
        self.lost = text
        if not ok:
            self.fail("the copy is wrong")


def case(title):
    def add(function):
        CASES.append((title, function))
        return function
    return add


def small_disk(folder, size):
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=True)


def grow_disk(folder, size="2g"):
    subprocess.run(["mount", "-o", f"remount,size={size}", str(folder)], check=True)


def worker(name, lines, create=True, **sides):
    copy = kit.WorkerCopy(TOP / name, segment_bytes="4MiB")
    kit.make_lines(copy.input, lines, SEED)
    return copy


def seen(copy, connector, states, seconds=30):
    """Waits until the connector's task is in one of the states; (state, trace)."""
    last = None

    def there():
        nonlocal last
        last = copy.status(connector)
        tasks = (last or {}).get("tasks", [])
        return tasks and tasks[0]["state"] in states
    try:
        kit.wait_for(f"{connector} to be {'/'.join(states)}", there, seconds, 0.05)
    except kit.Trouble as trouble:
        raise kit.Trouble(f"{trouble}; it is {last}") from None
    return last["tasks"][0]["state"], last["tasks"][0].get("trace", "")


def finish(copy, row, lines, seconds=120):
    kit.wait_for("the end of the copy: "
                 f"{kit.size_of(copy.output)} of {kit.size_of(copy.input)} bytes; "
                 f"src {copy.status('src')}, dst {copy.status('dst')}",
                 copy.finished, seconds, 0.02)
    time.sleep(1.2)  # a commit interval: lines twice would come now
    copy.stop()
    row.judge(copy, lines)


def timed_stop(copy, row, limit=15):
    began = time.monotonic()
    copy.process.send_signal(signal.SIGTERM)
    try:
        code = copy.process.wait(limit)
        if code:
            row.fail(f"SIGTERM ended the worker with {code}")
    except subprocess.TimeoutExpired:
        copy.process.kill()
        copy.process.wait()
        row.fail(f"SIGTERM did not end the worker in {limit} s")
    return time.monotonic() - began


# ---- full disks ----------------------------------------------------------------------------

def full_log(name, lines, row, during):
    copy = worker(name, lines)
    disk = copy.folder / "store" / "log"
    small_disk(disk, "24m")
    try:
        copy.start()
        row.state, row.message = seen(copy, "src", ["STALLED"])
        row.expect("disk full|no space left", "store/log", "free space|retention")
        during(copy, row)
        grow_disk(disk)
        if copy.process.poll() is not None:
            copy.start()
        finish(copy, row, lines)
    finally:
        end(copy)
        subprocess.run(["umount", "-l", str(disk)], check=False)


@case("log disk full, then space")
def log_full(lines, row):
    full_log("log-full", lines, row, lambda copy, row: time.sleep(2.5))


@case("log disk full, SIGTERM, space, start")
def log_full_stop(lines, row):
    def during(copy, row):
        row.message += f" [stopped in {timed_stop(copy, row):.1f} s]"
    full_log("log-full-stop", lines, row, during)


@case("log disk full, kill -9, start while full")
def log_full_kill(lines, row):
    def during(copy, row):
        copy.kill()
        # The log has to put itself in order, which may take space: it may refuse, and say why.
        try:
            copy.start()
            row.state, row.message = seen(copy, "src", ["STALLED"])
        except kit.Trouble:
            if copy.process.poll() is None:
                raise
            row.state = f"exit {copy.process.returncode}"
            row.message = copy.last_words().strip().splitlines()[-1]
        row.expect("no space left|disk full", "store/log", "free space")
    full_log("log-full-kill", lines, row, during)


@case("log disk full, connectors restarted 3 times")
def log_full_restart(lines, row):
    def during(copy, row):
        for _ in range(3):
            for name in ("src", "dst"):
                status, answer = copy.request("POST", f"/api/v1/connectors/{name}/restart")
                if status not in (202, 204):
                    row.fail(f"restart of {name}: HTTP {status} {answer}")
            time.sleep(1.5)
    full_log("log-full-restart", lines, row, during)


@case("log disk full, connector stopped and resumed")
def log_full_resume(lines, row):
    def during(copy, row):
        status, answer = copy.request("PUT", "/api/v1/connectors/src/stop")
        if status not in (202, 204):
            row.fail(f"stop: HTTP {status} {answer}")
        time.sleep(1)
        status, answer = copy.request("PUT", "/api/v1/connectors/src/resume")
        if status not in (202, 204):
            row.fail(f"resume: HTTP {status} {answer}")
    full_log("log-full-resume", lines, row, during)


def full_sink(name, lines, row, during):
    copy = worker(name, lines)
    disk = copy.folder / "out"
    small_disk(disk, "4m")
    copy.output = disk / "out.txt"
    try:
        copy.start()
        row.state, row.message = seen(copy, "dst", ["STALLED"])
        row.expect("out/out.txt", "no space left", "free|space")
        during(copy, row)
        grow_disk(disk)
        if copy.process.poll() is not None:
            copy.start()
        finish(copy, row, lines)
    finally:
        end(copy)
        subprocess.run(["umount", "-l", str(disk)], check=False)


@case("sink disk full, then space")
def sink_full(lines, row):
    full_sink("sink-full", lines, row, lambda copy, row: time.sleep(2.5))


@case("sink disk full, SIGTERM, space, start")
def sink_full_stop(lines, row):
    def during(copy, row):
        row.message += f" [stopped in {timed_stop(copy, row):.1f} s]"
    full_sink("sink-full-stop", lines, row, during)


@case("sink disk full, restarted, then space")
def sink_full_restart(lines, row):
    def during(copy, row):
        copy.request("POST", "/api/v1/connectors/dst/restart")
        time.sleep(1.5)
        seen(copy, "dst", ["STALLED"])
    full_sink("sink-full-restart", lines, row, during)


def run_full(name, lines, row, folder, size):
    """`run` goes on by itself when there is space; its progress says what it waits for."""
    copy = kit.RunCopy(TOP / name)
    kit.make_lines(copy.input, lines, SEED)
    disk = copy.folder / folder
    small_disk(disk, size)
    if folder == "out":
        copy.output = disk / "out.txt"
        text = (copy.folder / "copy.yaml").read_text().replace("out.txt", "out/out.txt")
        (copy.folder / "copy.yaml").write_text(text)
    try:
        copy.spawn("run", "copy.yaml", "--progress", "plain")
        found = kit.wait_for(
            f"STALLED in the progress: {copy.last_words()}",
            lambda: re.findall(r"(?:source|sink) STALLED: .*", copy.last_words()), 30, 0.1)
        row.state, row.message = "STALLED", found[-1]
        row.expect("no space left|disk full", folder)
        grow_disk(disk)
        kit.wait_for(f"the end: {copy.last_words()}", copy.finished, 60)
        row.judge(copy, lines)
    finally:
        end(copy)
        subprocess.run(["umount", "-l", str(disk)], check=False)


@case("run: log disk full, then space")
def run_log_full(lines, row):
    run_full("run-log-full", lines, row, "copy.rc", "24m")


@case("run: sink disk full, then space")
def run_sink_full(lines, row):
    run_full("run-sink-full", lines, row, "out", "4m")


# ---- files ---------------------------------------------------------------------------------

@case("source file is not there at the start")
def file_missing(lines, row):
    copy = worker("missing", lines)
    away = copy.folder / "away.txt"
    copy.input.rename(away)
    try:
        copy.start()
        time.sleep(0.5)
        row.state, row.message = seen(copy, "src", ["STALLED", "FAILED", "RUNNING", "RESTARTING"])
        if row.state == "RUNNING":  # a tail waits for its file; the log says so
            row.message = " ".join(x for x in copy.last_words().splitlines() if "in.txt" in x)
        row.expect("in.txt", "no such file|does not exist|waiting|appear|filename")
        away.rename(copy.input)
        if row.state == "FAILED":
            copy.request("POST", "/api/v1/connectors/src/restart")
        finish(copy, row, lines)
    finally:
        end(copy)


@case("run: source file is not there")
def run_file_missing(lines, row):
    copy = kit.RunCopy(TOP / "run-missing")
    away = copy.folder / "away.txt"
    kit.make_lines(away, lines, SEED)
    copy.start()
    code = copy.process.wait(20)
    row.state, row.message = f"exit {code}", copy.last_words().strip()
    row.expect("in.txt", "no such file|does not exist|filename")
    if code == 0:
        row.fail("exit status 0")
    away.rename(copy.input)
    copy.start()
    kit.wait_for("the end", copy.finished)
    row.judge(copy, lines)


@case("source file vanishes while it is copied")
def file_vanishes(lines, row):
    copy = worker("vanishes", lines)
    away = copy.folder / "away.txt"
    try:
        copy.start()
        kit.wait_for("some output", lambda: kit.size_of(copy.output) > 100000)
        copy.input.rename(away)
        time.sleep(1)
        copy.kill()  # so that the rest can only come from the file that is gone
        copy.start()
        time.sleep(1)
        row.state, row.message = seen(copy, "src", ["STALLED", "FAILED", "RUNNING", "RESTARTING"])
        if row.state == "RUNNING":
            row.message = " ".join(x for x in copy.last_words().splitlines() if "in.txt" in x)[-300:]
        row.expect("in.txt")
        away.rename(copy.input)
        if row.state == "FAILED":
            copy.request("POST", "/api/v1/connectors/src/restart")
        finish(copy, row, lines)
    finally:
        end(copy)


@case("unreadable source, met by nobody")
def unreadable(lines, row):
    copy = worker("unreadable", lines)
    for folder in [copy.folder, *copy.folder.parents]:
        if folder == TOP.parent:
            break
        folder.chmod(0o755)
    os.chown(copy.folder, 65534, 65534)
    copy.said.touch()
    os.chmod(copy.input, 0o600)
    real = kit.program
    kit.program = lambda: "setpriv"
    spawn = copy.spawn
    copy.spawn = lambda *args: spawn("--reuid=65534", "--regid=65534", "--clear-groups", real(),
                                     *args)
    try:
        copy.start()
        row.state, row.message = seen(copy, "src", ["FAILED", "STALLED", "RESTARTING"])
        row.expect("in.txt", "permission denied", "right|chmod|user")
        os.chmod(copy.input, 0o644)
        copy.request("POST", "/api/v1/connectors/src/restart")
        finish(copy, row, lines)
    finally:
        kit.program = real
        end(copy)


def long_line(name, row, policy):
    """A line of 1 GiB between others; what is bounded is memory."""
    copy = kit.WorkerCopy(TOP / name)
    with open(copy.input, "wb") as out:
        out.write(b"before\n")
        out.seek(1 << 30, 1)  # zeros; sparse, so it costs no disk
        out.write(b"\nafter\n")
    want = {"skip": b"before\nafter\n",
            "truncate": b"before\n" + bytes(1 << 20) + b"\nafter\n"}[policy]
    try:
        copy.start()
        row.state, row.message = seen(copy, "src", ["FAILED"])
        row.expect("in.txt", "line.max.bytes", "long.lines")
        status, answer = copy.request("PATCH", "/api/v1/connectors/src/config",
                                      {"long.lines": policy})
        if status != 200:
            row.fail(f"PATCH: {status} {answer}")
        kit.wait_for("the lines around it",
                     lambda: kit.size_of(copy.output) >= len(want), 60, 0.05)
        rss = int(re.search(r"VmHWM:\s*(\d+)", pathlib.Path(
            f"/proc/{copy.process.pid}/status").read_text()).group(1)) // 1024
        copy.stop()
        same = copy.output.read_bytes() == want
        row.lost = f"lost {0 if same else '?'}, most memory {rss} MiB"
        if not same:
            row.fail(f"not what {policy} promises")
        if rss > 128:
            row.fail("takes too much memory")
    finally:
        end(copy)


@case("line of 1 GiB: fails, then skipped")
def line_skip(_, row):
    long_line("long-skip", row, "skip")


@case("line of 1 GiB: fails, then truncated")
def line_truncate(_, row):
    long_line("long-truncate", row, "truncate")


@case("binary garbage, no newline at the end")
def garbage(_, row):
    copy = kit.RunCopy(TOP / "garbage")
    rng = random.Random(SEED)
    data = bytes(range(256)) * 16 + rng.randbytes(8 << 20) + b"\r\r\n\n\0\r\xff"
    copy.input.write_bytes(data)
    want = data.replace(b"\r\n", b"\n") + b"\n"  # documented: line ends are \n or \r\n
    copy.start()
    kit.wait_for("the end", copy.finished)
    row.state, row.message = "FINISHED", copy.last_words().strip()
    same = copy.output.read_bytes() == want
    row.lost = f"lost {0 if same else '?'} of {len(data)} bytes"
    if not same:
        row.fail("bytes differ")


@case("connectors restarted 12 times at full speed")
def restarts(lines, row):
    copy = worker("restarts", lines * 4)
    try:
        copy.start()
        for n in range(12):
            point = size = kit.size_of(copy.output)
            while point == size and not copy.finished():  # it moves: both tasks are at work
                size = kit.size_of(copy.output)
            name = ("src", "dst")[n % 2]
            status, answer = copy.request("POST", f"/api/v1/connectors/{name}/restart")
            if status not in (202, 204):
                row.fail(f"restart of {name}: HTTP {status} {answer}")
        row.state, row.message = seen(copy, "dst", ["RUNNING"])
        finish(copy, row, lines * 4)
    finally:
        end(copy)


# ---- wrong configurations ---------------------------------------------------------------------

def show(title, row):
    message = " ".join(row.message.split())
    text = message if len(message) <= 120 else message[:117] + "..."
    print(f"{title:<44} {row.state:<10} {text:<120}  {row.lost:<48} "
          f"{'FAIL: ' + row.why if row.why else 'PASS'}", flush=True)
    return 1 if row.why else 0


def try_connector(copy, good, changes):
    """(state, message) of a wrong configuration over REST."""
    config = {k: v for k, v in {**good, **changes}.items() if v is not None}
    status, answer = copy.request("POST", "/api/v1/connectors", {"name": "bad", "config": config})
    if status != 201:
        return f"HTTP {status}", (answer or {}).get("message", "")
    try:
        return seen(copy, "bad", ["FAILED"], 5)
    finally:
        copy.request("DELETE", "/api/v1/connectors/bad")


def wrong(lines, only):
    """A good copy runs meanwhile; a wrong change of it must not stop it either."""
    copy = worker("wrong", lines)
    failed = 0
    good = {
        "source": {"connector.class": kit.FILE_SOURCE, "filename": str(copy.input),
                   "connect.topicname": "other"},
        "sink": {"connector.class": kit.FILE_SINK, "filename": str(copy.folder / "other.txt"),
                 "connect.topicnames": "other"}}
    try:
        copy.start()
        for what, side, changes, words in wrong_configs.CONNECTORS:
            if only and only not in what:
                continue
            row = Row()
            row.state, row.message = try_connector(copy, good[side], changes)
            row.expect(*words)
            if row.state not in ("HTTP 400", "FAILED"):
                row.fail("is not refused")
            name = "src" if side == "source" else "dst"
            if row.state == "HTTP 400" and not ("connector.class" in changes):
                status, _ = copy.request("PATCH", f"/api/v1/connectors/{name}/config", changes)
                if status != 400:
                    row.fail(f"the same as a change of a running connector: HTTP {status}")
            failed += show(f"REST: {what}", row)
        row = Row()
        row.state = "RUNNING"
        row.message = "the copy that ran meanwhile, and was changed wrongly each time"
        try:
            finish(copy, row, lines)
        except kit.Trouble as trouble:
            row.fail(str(trouble))
        failed += show("the good copy beside them", row)
    finally:
        end(copy)
    return failed


def wrong_files(only):
    copy = kit.RunCopy(TOP / "wrong-files")
    kit.make_lines(copy.input, 1000, SEED)
    failed = 0
    for what, text, words in wrong_configs.PIPELINES:
        if only and only not in what:
            continue
        row = Row()
        (copy.folder / "bad.yaml").write_text(text)
        done = subprocess.run([kit.program(), "run", "bad.yaml", "--progress", "none"],
                              cwd=copy.folder, capture_output=True, text=True, timeout=30,
                              check=False, env=kit.environment())
        row.state, row.message = f"exit {done.returncode}", done.stderr.strip()
        row.expect(*words)
        if done.returncode not in (1, 3):
            row.fail("wrong exit status")
        failed += show(f"YAML: {what}", row)
    row = Row()
    copy.start()
    kit.wait_for("the end", copy.finished)
    row.state = "exit 0"
    row.judge(copy, 1000)
    return failed + show("a good file after them", row)


def end(copy):
    if copy.process and copy.process.poll() is None:
        copy.process.kill()
        copy.process.wait()


def main():
    global TOP
    parser = argparse.ArgumentParser()
    parser.add_argument("--lines", type=int, default=400000)
    parser.add_argument("--only", default="")
    args = parser.parse_args()
    if "COPY_TROUBLE_ALONE" not in os.environ:
        alone = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-rm"]
        os.environ["COPY_TROUBLE_ALONE"] = "1"
        os.execvp("unshare", [*alone, sys.executable, *sys.argv])
    TOP = pathlib.Path(os.environ.get("SHOW_DIR") or f"/var/tmp/copy-trouble-{os.getpid()}")
    TOP.mkdir(exist_ok=True)
    failed = 0
    print(f"{'case':<44} {'state':<10} {'message':<120}  {'lost':<48} result")
    for title, function in CASES:
        if args.only and args.only not in title:
            continue
        row = Row()
        try:
            function(args.lines, row)
        except kit.Trouble as trouble:
            row.fail(str(trouble)[:600])
        failed += show(title, row)
        if not row.why:
            for folder in TOP.iterdir():
                shutil.rmtree(folder, ignore_errors=True)
    failed += wrong(min(args.lines * 5, 2000000), args.only)
    failed += wrong_files(args.only)
    print(f"{failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
