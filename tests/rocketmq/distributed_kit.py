# SPDX-License-Identifier: Apache-2.0
"""Clusters of workers in tests and shows: workers, the lines they copy, a checker. Standard library
only.

    with cluster.Cluster("5.5.0", brokers=2) as rmq:
        team = Team(folder, rmq)
        team.start(3)
        team.create("c0", lines)                 # file-source, one file for each task
        team.wait_settled(3)
"""
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import cluster
import worker_kit

SECRET = "one secret for all"


class Member(worker_kit.Worker):
    """A worker of a cluster. Its name is the folder's."""

    command = "distributed"

    def __init__(self, folder, namesrv, **keys):
        folder = pathlib.Path(folder)
        super().__init__(folder, namesrv, **{"workerId": folder.name, "cluster__secret": SECRET,
                                             "connectClusterId": "team", **keys})

    @property
    def name(self):
        return self.keys["workerId"]

    @property
    def runs(self):
        return self.process is not None and self.process.poll() is None

    def signal(self, number):
        self.process.send_signal(number)

    def get(self, path):
        return json.loads(self.request("GET", path))

    def put(self, path, body=None):
        return self.request("PUT", path, body)

    def view(self):
        return self.get("/api/v1/cluster")


class Lines(threading.Thread):
    """Files that grow: one for each task of each connector, `rate` numbered lines a second each.

    A line is "<connector>/<task> <number>"; the file sits where the file source's task of that
    number takes it (FNV-1a of the path modulo the number of tasks).
    """

    def __init__(self, folder, connectors, tasks, rate):
        super().__init__(daemon=True)
        self.folder, self.tasks, self.rate = pathlib.Path(folder).resolve(), tasks, rate
        self.files, self.written = {}, {}
        for connector in connectors:
            self._make(connector)
        self.writing = threading.Event()
        self.turn = threading.Lock()
        self.ended = False

    def _make(self, connector):
        home = self.folder / connector
        home.mkdir(parents=True)
        free = set(range(self.tasks))
        for number in range(10000):
            path = home / f"{number}.lines"
            task = fnv(str(path).encode()) % self.tasks if self.tasks > 1 else 0
            if task in free:
                free.remove(task)
                self.files[f"{connector}/{task}"] = os.open(
                    path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o644)
                self.written[f"{connector}/{task}"] = 0
            if not free:
                return

    def config(self, connector, topic, **more):
        found = {"connector.class": "file-source", "filename": str(self.folder / connector),
                 "files.pattern": "*.lines", "max.tasks": str(self.tasks),
                 "connect.topicname": topic, "ordering": "partition",
                 "check.interval": "200ms"}  # a machine has inotify for 128 users only
        return {**found, **{k.replace("__", "."): v for k, v in more.items()}}

    def round(self):
        """One more line for each file."""
        with self.turn:
            for name, file in self.files.items():
                os.write(file, f"{name} {self.written[name]}\n".encode())
                self.written[name] += 1

    def run(self):
        due = time.monotonic()
        while not self.ended:
            self.writing.wait()
            self.round()
            due = max(due + 1 / self.rate, time.monotonic() - 1)
            time.sleep(max(0, due - time.monotonic()))

    def go(self):
        self.writing.set()

    def pause(self):
        """When it returns nothing more is written."""
        self.writing.clear()
        with self.turn:
            pass

    def close(self):
        self.ended = True
        self.writing.set()
        if self.is_alive():
            self.join()
        for file in self.files.values():
            os.close(file)


def fnv(data):
    value = 0xcbf29ce484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001b3 & 0xFFFFFFFFFFFFFFFF
    return value


class Team:
    """The workers of one cluster: w0, w1, ..."""

    def __init__(self, folder, rmq, make=None, **keys):
        self.folder, self.rmq, self.keys = pathlib.Path(folder), rmq, keys
        self.make = make or (lambda folder, **more: Member(folder, rmq.namesrv, **more))
        self.members = []

    def __getitem__(self, index):
        return self.members[index]

    def add(self, **keys):
        member = self.make(self.folder / f"w{len(self.members)}", **{**self.keys, **keys})
        self.members.append(member)
        return member

    def start(self, count):
        """Adds and starts so many: the first of all alone, it makes the topics."""
        new = [self.add() for _ in range(count)]
        first = new[0] is self.members[0]
        for member in new:
            member.start(wait=first and member is new[0])
        for member in new:
            member.wait()
        return new

    def any(self, but=()):
        """One that runs and can be asked."""
        return next(m for m in self.members if m.runs and m not in but)

    def create(self, name, lines, topic, **more):
        self.any().put(f"/api/v1/connectors/{name}/config", lines.config(name, topic, **more))

    def loads(self, member=None):
        """{worker: units} of members."""
        return {w["worker"]: w["units"] for w in (member or self.any()).view()["workers"]
                if w["state"] == "MEMBER"}

    def tasks(self, member=None):
        """{(connector, task): (state, worker)}"""
        found = {}
        answer = (member or self.any()).get("/api/v1/connectors?expand=status")
        for name, one in answer.items():
            for task in one["status"]["tasks"]:
                found[name, task["id"]] = (task["state"], task["worker_id"])
        return found

    def generations(self, member=None):
        """{(connector, task): (generation, worker)} by the ownership log."""
        member = member or self.any()
        found = {}
        for name, task in self.tasks(member):
            place = member.get(f"/api/v1/cluster/explain/{name}/{task}")
            found[name, task] = (place["generation"], place["worker"])
        return found

    def settled(self, members, tasks, member=None):
        """So many members, all tasks run, nobody has two units more than another; else why not."""
        try:
            member = member or self.any()
            loads, states = self.loads(member), self.tasks(member)
        except (OSError, cluster.Trouble, StopIteration) as error:
            return False, str(error)
        good = (len(loads) == members and max(loads.values()) - min(loads.values()) <= 1 and
                len(states) == tasks and
                all(s == "RUNNING" and w in loads for s, w in states.values()))
        return good, f"{loads}, {[k for k, v in states.items() if v[0] != 'RUNNING'][:5]}"

    def wait_settled(self, members, tasks, seconds=60, member=None):
        last = [None]

        def there():
            good, last[0] = self.settled(members, tasks, member)
            return good
        try:
            cluster.wait_for("all tasks to run", there, seconds)
        except cluster.Trouble as trouble:
            raise cluster.Trouble(f"{trouble}: {last[0]}") from trouble

    def kill(self):
        for member in self.members:
            if member.runs:
                member.signal(signal.SIGCONT)
            member.kill()


class Checker:
    """sequence_check.py in a process of its own: what the topics have of the lines."""

    def __init__(self, rmq, topics):
        script = pathlib.Path(__file__).with_name("sequence_check.py")
        self.process = subprocess.Popen(
            [sys.executable, str(script), str(rmq.port), *topics], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, **command):
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise cluster.Trouble("the checker has ended")
        return json.loads(answer)

    def judge(self, written, since_ms=0, until_ms=None, seconds=60):
        """Reads until every line is there, at most `seconds`; what was found since then."""
        end = time.monotonic() + seconds
        while True:
            answer = self.ask(written=written)
            if answer.get("lost") == 0 or time.monotonic() > end:
                break
            time.sleep(0.3)
        answer = self.ask(written=written, since=since_ms, until=until_ms)
        if "error" in answer:
            raise cluster.Trouble(f"the checker: {answer['error']}")
        return answer

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()
