# SPDX-License-Identifier: Apache-2.0
"""What the tests of faults share: copies that are killed and go on, and how they are judged.

A copy is a file, the program that copies it through the embedded log, and a folder that holds all
its state. RunCopy is a pipeline of `run`, WorkerCopy two connectors of `standalone`, created over
REST. With `shim` the copy runs under tests/shim: after a kill, everything that was not synced is
taken back, as a power cut does.

Programs: $SHOW_BIN, else $RC_BUILD/rocketmq-connect, else build/release. Standard library only.
"""
import filecmp
import json
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = pathlib.Path(__file__).resolve().parent
FILE_SOURCE = "org.apache.rocketmq.connect.file.FileSourceConnector"
FILE_SINK = "org.apache.rocketmq.connect.file.FileSinkConnector"
PATIENCE = float(os.environ.get("RC_PATIENCE", "60"))


class Trouble(Exception):
    """The program did what it must not; the text says what."""


def program():
    if "SHOW_BIN" in os.environ:
        return os.environ["SHOW_BIN"]
    build = os.environ.get("RC_BUILD", ROOT / "build/release")
    return str(pathlib.Path(build).resolve() / "rocketmq-connect")


def environment(**more):
    env = {k: v for k, v in os.environ.items()
           if k not in ("NAMESRV_ADDR", "ROCKETMQ_CONNECT_URL", "LD_PRELOAD")}
    return dict(env, **more)


def build_shim():
    """Builds tests/shim on its own; returns the folder with forget.so and forget-undo."""
    out = ROOT / "build" / "shim"
    for command in (["cmake", "-G", "Ninja", "-S", ROOT / "tests/shim", "-B", out],
                    ["cmake", "--build", out]):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Trouble(f"the shim does not build: {done.stdout}{done.stderr}")
    return out


def make_lines(path, count, seed, width=100):
    """Lines of `width` bytes with their newline, each with its number and text from the seed."""
    rng = random.Random(seed)
    alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ ,.;:-_+"
    pad = "".join(rng.choices(alphabet, k=width + 8192))
    room = width - 14
    with open(path, "w", encoding="ascii", buffering=1 << 20, newline="\n") as out:
        for begin in range(0, count, 10000):
            end = min(count, begin + 10000)
            out.write("".join(f"{i:012d} {pad[(at := (i * 7919 + seed) % 8192):at + room]}\n"
                              for i in range(begin, end)))
    return os.path.getsize(path)


def check_lines(count, path):
    """(ok, text) of the separate checker."""
    done = subprocess.run([sys.executable, str(HERE / "check_lines.py"), str(count), str(path)],
                          capture_output=True, text=True, check=False)
    return done.returncode == 0, (done.stdout or done.stderr).strip()


def wait_for(what, condition, seconds=None, pause=0.005):
    end = time.monotonic() + (seconds or PATIENCE)
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Trouble(f"waited {seconds or PATIENCE:g} s for {what}")
        time.sleep(pause)


def size_of(path):
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


class Copy:
    """One copy: start(), kill() and again, until finished() is true."""

    def __init__(self, folder, shim=None, segment_bytes=None, commit_ms=None):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.input = self.folder / "in.txt"
        self.output = self.folder / "out.txt"
        self.said = self.folder / "said.log"
        self.shim = shim
        self.keys = {}  # of the worker
        if segment_bytes:
            self.keys["log.segment.bytes"] = segment_bytes
        if commit_ms:
            self.keys["offsetCommitIntervalMsConfig"] = commit_ms
        self.journal = pathlib.Path(str(folder) + ".journal")
        self.process = None
        if shim:
            self.journal.mkdir(exist_ok=True)

    def spawn(self, *args):
        env = environment()
        if self.shim:
            env.update(LD_PRELOAD=str(self.shim / "forget.so"), FORGET_DIR=str(self.folder),
                       FORGET_JOURNAL=str(self.journal))
        with open(self.said, "ab") as said:
            self.process = subprocess.Popen([program(), *args], cwd=self.folder, env=env,
                                            stdin=subprocess.DEVNULL, stdout=said, stderr=said)

    def kill(self, seed=None):
        """kill -9; under the shim also the power cut. Returns what the shim forgot."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        if not self.shim:
            return ""
        command = [str(self.shim / "forget-undo"), str(self.folder), str(self.journal)]
        done = subprocess.run(command + ([str(seed)] if seed is not None else []),
                              capture_output=True, text=True, check=False)
        if done.returncode:
            raise Trouble(f"forget-undo: {done.stderr}")
        return done.stdout.strip()

    def log_bytes(self):
        return sum(size_of(p) for p in self.folder.rglob("*.seg*") if not str(p).endswith("-shm"))

    def last_words(self):
        return self.said.read_text("utf-8", "replace")[-2000:] if self.said.exists() else ""

    def check(self, count):
        """(ok, text): line by line by another program, and byte by byte."""
        ok, text = check_lines(count, self.output)
        same = filecmp.cmp(self.input, self.output, shallow=False)
        return ok and same, f"{text}, {'identical' if same else 'DIFFERENT'}"


class RunCopy(Copy):
    """`run` of a bounded pipeline."""

    def __init__(self, folder, **more):
        super().__init__(folder, **more)
        (self.folder / "copy.yaml").write_text(
            "name: copy\nsource: {class: file-source, filename: in.txt, bounded: true}\n"
            "sink: {class: file-sink, filename: out.txt}\n")

    def start(self):
        sets = [x for k, v in self.keys.items() for x in ("--set", f"worker.{k}={v}")]
        self.spawn("run", "copy.yaml", "--progress", "none", *sets)

    def finished(self):
        code = self.process.poll()
        if code:
            raise Trouble(f"run ended with {code}: {self.last_words()}")
        return code == 0

    def stop(self):
        self.process.wait()


class WorkerCopy(Copy):
    """`standalone` with a source and a sink, created over REST once and kept by the worker."""

    def __init__(self, folder, **more):
        super().__init__(folder, **more)
        self.port = 0
        self.created = False
        keys = {"httpPort": 0, "storePathRootDir": self.folder / "store", **self.keys}
        (self.folder / "connect.conf").write_text("".join(f"{k}={v}\n" for k, v in keys.items()))

    def request(self, method, path, body=None):
        """(status, JSON or None)"""
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data=data,
                                         method=method,
                                         headers={"Content-Type": "application/json"})
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=PATIENCE) as answer:
                status, text = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            status, text = error.code, error.read()
        try:
            return status, json.loads(text)
        except ValueError:
            return status, None

    def start(self):
        before = size_of(self.said)
        self.spawn("standalone", "-c", "connect.conf")

        def port():
            with open(self.said, "rb") as said:
                said.seek(before)
                found = re.search(rb"REST on http://[^:]*:(\d+)", said.read())
            if self.process.poll() is not None:
                raise Trouble(f"the worker ended with {self.process.returncode}: "
                              f"{self.last_words()}")
            return found and int(found.group(1))
        self.port = wait_for("the worker's port", port)
        self.create()

    def create(self, source=None, sink=None):
        """Creates what is not there: after a power cut in the first moments that may be all."""
        wanted = {
            "src": {"connector.class": FILE_SOURCE, "filename": str(self.input),
                    "connect.topicname": "lines", **(source or {})},
            "dst": {"connector.class": FILE_SINK, "filename": str(self.output),
                    "connect.topicnames": "lines", **(sink or {})}}
        for name, config in wanted.items():
            status, answer = self.request("POST", "/api/v1/connectors",
                                          {"name": name, "config": config})
            if status not in (201, 409) or (status == 201 and self.created):
                raise Trouble(f"creating {name}: HTTP {status} {answer}")
        self.created = True

    def status(self, name):
        return self.request("GET", f"/api/v1/connectors/{name}/status")[1]

    def finished(self):
        if self.process.poll() is not None:
            raise Trouble(f"the worker ended: {self.last_words()}")
        # A longer output is finished too: it has lines twice, and the checker says so.
        return size_of(self.output) >= size_of(self.input)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise Trouble("the worker does not stop on SIGTERM") from None
        if code:
            raise Trouble(f"the worker ended with {code}: {self.last_words()}")


def kill_points(kills, rng):
    """Fractions of the output, ascending."""
    return sorted(rng.uniform(0.05, 0.95) for _ in range(kills))


def copy_with_kills(copy, count, kills, rng, tell=None):
    """Copies with kills at random points of the output; (ok, text). tell(n, fraction, ...) is
    called per kill."""
    total = size_of(copy.input)
    copy.start()
    for n, point in enumerate(kill_points(kills, rng)):
        target = int(point * total)
        wait_for(f"{target} bytes of output (there are {size_of(copy.output)}): "
                 f"{copy.last_words()}",
                 lambda: copy.finished() or size_of(copy.output) >= target, seconds=300,
                 pause=0.002)
        if copy.process.poll() is not None:
            raise Trouble(f"the copy ended before kill {n + 1}: too few lines for this machine")
        at, log = size_of(copy.output), copy.log_bytes()
        # Half of the power cuts lose everything, half keep some files whole.
        lost = copy.kill(seed=rng.randrange(1 << 32) if n % 2 else None)
        if tell:
            tell(n + 1, point, at, log, size_of(copy.output), lost)
        copy.start()
    wait_for("the end of the copy", copy.finished, seconds=600, pause=0.01)
    time.sleep(0.3 if isinstance(copy, WorkerCopy) else 0)  # lines twice would follow now
    copy.stop()
    return copy.check(count)
