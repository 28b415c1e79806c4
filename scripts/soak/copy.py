#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# summary: 10 million lines in 30 minutes through a worker that is killed at random, then compared
"""usage: scripts/soak.sh copy [minutes] [lines]

A file grows and is rotated now and then; a standalone worker tails it into a topic with a small
segment size and retention, and appends the topic to another file. The worker is killed with -9 at
random moments, restarted, paused and resumed. At the end both sides are compared, and memory,
descriptors and the size of the log must have stayed small.
"""
import hashlib
import json
import os
import pathlib
import random
import re
import subprocess
import sys
import time
import urllib.request

minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 30
total = int(sys.argv[2]) if len(sys.argv) > 2 else 10_000_000
rng = random.Random(int(os.environ["SHOW_SEED"]))
folder = pathlib.Path(os.environ["SHOW_DIR"])
program = os.environ["SHOW_BIN"]
source, target = folder / "in.log", folder / "out.txt"
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Worker:
    port, process, kills = 0, None, 0

    def start(self):
        (folder / "worker.conf").write_text(
            f"httpPort=0\nstorePathRootDir={folder}/store\nlog.segment.bytes=32MiB\n"
            "log.keep.bytes=128MiB\n")
        with open(folder / "worker.log", "ab") as log:
            at = log.tell()
            self.process = subprocess.Popen([program, "standalone", "-c", folder / "worker.conf"],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        end = time.monotonic() + 60
        while time.monotonic() < end and self.process.poll() is None:
            with open(folder / "worker.log", "rb") as log:
                log.seek(at)
                found = re.search(rb"REST on http://[^:]*:(\d+)", log.read())
            if found:
                self.port = int(found.group(1))
                return
            time.sleep(0.02)
        sys.exit("the worker does not start: " + (folder / "worker.log").read_text()[-2000:])

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.kills += 1

    def call(self, method, path, body=None):
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", method=method,
            data=json.dumps(body).encode() if body else None)
        with opener.open(request, timeout=30) as answer:
            return answer.read().decode()

    def figure(self, name):
        found = re.search(rf"^{name}\S* (\S+)$", self.call("GET", "/metrics"), re.M)
        return float(found.group(1)) if found else -1.0


def log_bytes():
    return sum(f.stat().st_size for f in (folder / "store/log").iterdir())


def main():
    worker, written, rotations, index = Worker(), 0, 0, 0
    wanted = hashlib.sha256()
    rss = descriptors = log_size = 0.0
    source.touch()
    worker.start()
    worker.call("POST", "/connectors/tail", {
        "connector.class": "file-source", "filename": str(source), "connect.topicname": "lines",
        "rotate.wait": "200ms"})
    worker.call("POST", "/connectors/append", {
        "connector.class": "file-sink", "filename": str(target), "connect.topicnames": "lines"})
    begun = time.monotonic()
    next_kill, next_look = begun + 5, begun + 1
    file = open(source, "ab")
    while index < total:
        now = time.monotonic()
        due = min(total, int(total * (now - begun) / (minutes * 60)) + 1)
        if due > index:
            block = b"".join(b"%010d %s\n" % (i, b"x" * rng.randint(0, 150))
                             for i in range(index, min(due, index + 20000)))
            index = min(due, index + 20000)
            wanted.update(block)
            written += len(block)
            file.write(block)
            file.flush()
        # A rotation only when the last one is long over: the sink is not far behind.
        if rng.random() < 0.001 and now - begun > 10 and target.exists() and \
                written - target.stat().st_size < 1 << 20:
            file.close()
            source.rename(f"{source}.{rotations + 1}")
            rotations += 1
            file = open(source, "ab")
        if now >= next_kill:
            worker.kill()
            time.sleep(rng.random())
            worker.start()
            next_kill = time.monotonic() + rng.uniform(5, 60)
        if now >= next_look:
            rss = max(rss, worker.figure("process_resident_memory_bytes"))
            descriptors = max(descriptors, worker.figure("process_open_fds"))
            log_size = max(log_size, log_bytes())
            if rng.random() < 0.1:
                worker.call("PUT", "/api/v1/connectors/append/pause")
                worker.call("PUT", "/api/v1/connectors/append/resume")
            next_look = time.monotonic() + 5
        time.sleep(0.02)
    file.close()
    end = time.monotonic() + 300
    while time.monotonic() < end and (not target.exists() or target.stat().st_size < written):
        time.sleep(0.1)
    worker.process.terminate()
    status = worker.process.wait(60)
    got, lines = hashlib.sha256(), 0
    with open(target, "rb") as out:
        while block := out.read(1 << 20):
            got.update(block)
            lines += block.count(b"\n")
    checks = [
        ("lines", lines, lines == total), ("identical", got.hexdigest()[:16],
                                           got.digest() == wanted.digest()),
        ("kill -9", worker.kills, worker.kills > 0), ("rotations", rotations, True),
        ("exit status of the last run", status, status == 0),
        ("largest RSS, MiB", round(rss / 2**20, 1), rss < 128 * 2**20),
        ("most descriptors", int(descriptors), descriptors < 100),
        ("largest log, MiB", round(log_size / 2**20, 1), log_size < 300 * 2**20),
        ("minutes", round((time.monotonic() - begun) / 60, 1), True),
    ]
    for name, value, ok in checks:
        print(f"{name:<44} {value!s:>18}  {'ok' if ok else 'FAIL'}")
    return 0 if all(ok for _, _, ok in checks) else 1


sys.exit(main())
