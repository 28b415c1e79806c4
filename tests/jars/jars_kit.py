# SPDX-License-Identifier: Apache-2.0
"""Published Java connectors in shows and tests: their jars, a worker that runs them, and kills."""
import os
import pathlib
import signal
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "tests/rocketmq"))
import cluster  # noqa: E402
import stored  # noqa: E402
import worker_kit  # noqa: E402

JSON = "org.apache.rocketmq.connect.runtime.converter.record.json.JsonConverter"
BYTES = "org.apache.rocketmq.connect.runtime.converter.record.ByteArrayConverter"
STRING = worker_kit.STRING
# What dies, at which share of the records.
KILLS = ((0.15, "host"), (0.35, "worker"), (0.6, "host"), (0.8, "worker"))


def jars(name):
    """The folder with a published connector's jars; fetched when it is not there yet."""
    said = cluster.run("bash", HERE / "fetch.sh", name, timeout=900)
    return pathlib.Path(said.splitlines()[-1]) / name


def build_hosts():
    """Builds the Java host and the connectors of tests/hosts/java; (their folders)."""
    folder = ROOT / "build/hosts"
    cluster.run("bash", ROOT / "scripts/build-java-host.sh", folder / "java", timeout=600)
    cluster.run("bash", ROOT / "tests/hosts/java/build.sh", folder / "example", timeout=600)
    return folder / "java", folder / "example"


class Trial:
    """A worker with Java connectors; hosts and worker are killed while records move."""

    def __init__(self, rmq, folder, plugins, rng, kills=KILLS, patience=900, **keys):
        self.rmq, self.folder, self.rng, self.patience = rmq, pathlib.Path(folder), rng, patience
        self.plan = [(at + rng.uniform(-0.04, 0.04), who) for at, who in kills]
        self.kills = {"host": 0, "worker": 0}
        place = self.folder / "plugins"
        place.mkdir(parents=True)
        for name, jar in plugins.items():
            (place / name).symlink_to(jar)
        java = ROOT / "build/hosts/java/rc-host.jar"
        self.worker = worker_kit.Worker(self.folder / "worker", rmq.namesrv, pluginPaths=place,
                                        host__java__jar=java, **keys)

    def __enter__(self):
        self.worker.start()
        return self

    def __exit__(self, *_):
        self.worker.kill()

    def hosts(self):
        """Process ids of the worker's Java hosts."""
        found = []
        for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text("ascii", "replace").rsplit(")", 1)[1].split()
            except OSError:
                continue
            if int(fields[1]) == self.worker.process.pid and fields[0] != "Z":
                found.append(int(stat.parent.name))
        return found

    def strike(self, who):
        if who == "host":
            for pid in cluster.wait_for("a host to kill", self.hosts, 60):
                os.kill(pid, signal.SIGKILL)
        else:
            self.worker.kill()
            self.worker.start()
        self.kills[who] += 1

    def drive(self, progress, done):
        """Kills as progress(), a share of records, reaches the points. Seconds until done()."""
        began = time.monotonic()
        deadline = time.monotonic() + self.patience
        for at, who in self.plan:
            while progress() < at and not done():
                self.look(deadline, progress)
            if done():
                break
            self.strike(who)
        while not done():
            self.look(deadline, progress)
        return time.monotonic() - began

    def look(self, deadline, progress):
        time.sleep(0.1)
        if self.worker.process.poll() is not None:
            raise cluster.Trouble(f"the worker ended by itself: {self.worker.said()[-3000:]}")
        if time.monotonic() > deadline:
            raise cluster.Trouble(f"not done in {self.patience} s, at {progress():.1%}; "
                                  f"{self.worker.said()[-3000:]}")


class Topic:
    """take(message) for what has come to a topic since the last poll()."""

    def __init__(self, rmq, name, take):
        self.rmq, self.name, self.take = rmq, name, take
        self.since = {}
        self.asked = 0.0

    def poll(self):
        if time.monotonic() - self.asked > 0.5 and self.rmq.route(self.name):
            stored.read(self.rmq, self.name, self.take, self.since)
            self.asked = time.monotonic()


class File:
    """take(line) for the lines that a file has got since the last poll()."""

    def __init__(self, path, take):
        self.path, self.take = pathlib.Path(path), take
        self.at, self.rest = 0, b""

    def poll(self):
        if not self.path.exists():
            return
        with open(self.path, "rb") as file:
            file.seek(self.at)
            data = file.read(64 << 20)
        self.at += len(data)
        lines = (self.rest + data).split(b"\n")
        self.rest = lines.pop()
        for line in lines:
            self.take(line)


class Numbers:
    """Which of the numbers 0 to count - 1 have come, and how often; their texts are compared."""

    def __init__(self, count, text):
        self.seen = bytearray(count)
        self.text = text
        self.count = count
        self.distinct = self.repeated = self.damaged = 0

    def take(self, number, text):
        if not 0 <= number < self.count or text != self.text(number):
            self.damaged += 1
        elif self.seen[number]:
            self.repeated += 1
        else:
            self.seen[number] = 1
            self.distinct += 1

    @property
    def share(self):
        return self.distinct / self.count

    @property
    def lost(self):
        return self.count - self.distinct
