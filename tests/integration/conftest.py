# SPDX-License-Identifier: Apache-2.0
"""Fixtures for tests that drive the real program.

    worker      starts `rocketmq-connect standalone` in a folder of its own, on a free port
    pipeline    runs `rocketmq-connect run` on a pipeline file
    cli         runs any other command

The programs come from $RC_BUILD (default build/dev). Nothing sleeps for luck: wait_until() polls a
condition up to a limit and says what it last saw. What a process wrote is attached to a failure.
Every process is ended by its own pid.
"""
import json
import os
import pathlib
import re
import signal
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("RC_BUILD", ROOT / "build/dev")).resolve()
PROGRAM = BUILD / "rocketmq-connect"
# Sanitizers make everything slower; so may a busy machine.
PATIENCE = float(os.environ.get("RC_PATIENCE", "20"))

FILE_SOURCE = "org.apache.rocketmq.connect.file.FileSourceConnector"
FILE_SINK = "org.apache.rocketmq.connect.file.FileSinkConnector"


def wait_until(what, condition, seconds=None):
    """Polls condition() until it is true and returns its value; fails with the last one seen."""
    end = time.monotonic() + (seconds or PATIENCE)
    pause = 0.01
    while True:
        seen = condition()
        if seen:
            return seen
        if time.monotonic() > end:
            pytest.fail(f"waited {seconds or PATIENCE:g} s for: {what}; last seen: {seen!r}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.2)


class Answer:
    """An HTTP answer: status, headers, and the body as text and as JSON."""

    def __init__(self, status, headers, data):
        self.status = status
        self.headers = headers
        self.text = data.decode("utf-8")

    @property
    def json(self):
        return json.loads(self.text)

    @property
    def body(self):
        """`body` of a compatible route's success."""
        assert self.status == 200, f"HTTP {self.status}: {self.text}"
        assert self.json["status"] == 200, self.text
        return self.json["body"]

    def __repr__(self):
        return f"<{self.status} {self.text[:2000]}>"


class Worker:
    """A standalone worker. start(), stop() and kill() may be called in any order."""

    def __init__(self, folder, **keys):
        self.folder = pathlib.Path(folder)
        self.keys = {"httpPort": "0", "storePathRootDir": str(self.folder / "store"), **keys}
        self.log = self.folder / "worker.log"
        self.process = None
        self.port = 0
        self.starts = 0

    def configure(self, **keys):
        self.keys.update(keys)

    def start(self, wait=True):
        conf = self.folder / "connect-standalone.conf"
        conf.write_text("".join(f"{k}={v}\n" for k, v in self.keys.items()))
        self.starts += 1
        offset = self.log.stat().st_size if self.log.exists() else 0
        env = {k: v for k, v in os.environ.items() if k != "NAMESRV_ADDR"}
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [str(PROGRAM), "standalone", "-c", str(conf)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder, env=env)
        if wait:
            self.port = int(wait_until("the worker's port", lambda: self._port(offset)))
            wait_until("/health", lambda: self._healthy())
        return self

    def _port(self, offset):
        with open(self.log, "rb") as log:
            log.seek(offset)
            said = log.read().decode("utf-8", "replace")
        if self.process.poll() is not None:
            pytest.fail(f"the worker ended with {self.process.returncode}:\n{said}")
        found = re.search(r"REST on http://[^:]*:(\d+)", said)
        return found and found.group(1)

    def _healthy(self):
        try:
            return self.get("/health").status == 200
        except OSError:
            return False

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def said(self):
        return self.log.read_text("utf-8", "replace") if self.log.exists() else ""

    def request(self, method, path, body=None, headers=None):
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self.url + path, data=data, method=method,
                                         headers={"Content-Type": "application/json",
                                                  **(headers or {})})
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=PATIENCE) as answer:
                return Answer(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as error:
            return Answer(error.code, error.headers, error.read())

    def get(self, path):
        return self.request("GET", path)

    def post(self, path, body):
        return self.request("POST", path, body)

    def create(self, name, **config):
        """Over the Java runtime's route; dots in keys are written as __."""
        return self.post(f"/connectors/{name}",
                         {k.replace("__", "."): v for k, v in config.items()})

    def status(self, name):
        """Status as /api/v1 shows it."""
        return self.get(f"/api/v1/connectors/{name}/status").json

    def states(self, name):
        """(state of the connector, states of its tasks)"""
        status = self.status(name)
        if "connector" not in status:
            return (None, [])
        return status["connector"]["state"], [t["state"] for t in status["tasks"]]

    def wait_state(self, name, *states, seconds=None):
        """Waits until the connector and all of its tasks are in one of the states."""
        def there():
            connector, tasks = self.states(name)
            if connector in states and tasks and all(t in states for t in tasks):
                return True
            self.last = self.status(name)
            return False
        try:
            wait_until(f"{name} to be {'/'.join(states)}", there, seconds)
        except pytest.fail.Exception as error:
            pytest.fail(f"{error}; status {self.last}")

    def stop(self, sig=signal.SIGTERM):
        """Ends the worker in order. Returns its exit status."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(sig)
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            pytest.fail(f"the worker did not end within {PATIENCE:g} s of signal {sig}")

    def kill(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def restart(self):
        self.stop()
        return self.start()


class Result:
    """How a command ended."""

    def __init__(self, process):
        self.code = process.returncode
        self.out = process.stdout
        self.err = process.stderr

    @property
    def json(self):
        return json.loads(self.out)

    def __repr__(self):
        return f"<exit {self.code}\nstdout: {self.out}\nstderr: {self.err}>"


def run_program(*args, cwd=None, stdin=None, timeout=None):
    env = {k: v for k, v in os.environ.items()
           if k not in ("NAMESRV_ADDR", "ROCKETMQ_CONNECT_URL")}
    return Result(subprocess.run(
        [str(PROGRAM), *map(str, args)], cwd=cwd, env=env, text=True, errors="replace",
        input=stdin or "", capture_output=True, timeout=timeout or PATIENCE * 3, check=False))


class Pipeline:
    """A pipeline file in a folder of its own, where in.txt is read and out.txt is written."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.file = self.folder / "copy.yaml"
        self.input = self.folder / "in.txt"
        self.output = self.folder / "out.txt"
        self.processes = []
        self.write()

    def write(self, text=None):
        self.file.write_text(text or """\
name: copy
source: {class: file-source, filename: in.txt, bounded: true}
sink: {class: file-sink, filename: out.txt}
""")

    def run(self, *args):
        return run_program("run", "copy.yaml", *args, cwd=self.folder)

    def start(self, *args):
        """Runs beside the test; the caller ends it with finish()."""
        process = subprocess.Popen(
            [str(PROGRAM), "run", "copy.yaml", *args], cwd=self.folder, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.processes.append(process)
        return process

    @staticmethod
    def finish(process):
        process.stdout_text, process.stderr_text = process.communicate(timeout=PATIENCE)
        return process.returncode

    def end(self):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.communicate()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.failed and "started_workers" in item.__dict__:
        for worker in item.started_workers:
            report.sections.append((f"worker in {worker.folder}", worker.said[-20000:]))


@pytest.fixture(scope="session", autouse=True)
def program():
    if not PROGRAM.exists():
        pytest.exit(f"{PROGRAM} is not built; scripts/test.sh --quick does that", returncode=3)
    return PROGRAM


@pytest.fixture
def make_worker(tmp_path, request):
    """make_worker(**keys of the worker) for tests that want several or want to start it themselves."""
    workers = request.node.started_workers = []

    def make(**keys):
        folder = tmp_path / f"worker{len(workers)}"
        folder.mkdir()
        workers.append(Worker(folder, **keys))
        return workers[-1]

    yield make
    for worker in workers:
        worker.kill()


@pytest.fixture
def worker(make_worker):
    return make_worker().start()


@pytest.fixture
def pipeline(tmp_path):
    pipeline = Pipeline(tmp_path)
    yield pipeline
    pipeline.end()


@pytest.fixture
def cli():
    return run_program
