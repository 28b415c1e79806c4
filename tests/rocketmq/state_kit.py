# SPDX-License-Identifier: Apache-2.0
"""The topic store as a process, for tests and shows: state_peer, one worker of a cluster.

    with StatePeer(rmq, "cfg", "st", "w1", snapshot) as peer:
        peer.put("c", 0, filename="a")          # the answer: id, result, version, error
        peer.connectors()["c"]["config"]
"""
import json
import queue
import subprocess
import threading

import client_kit
import cluster


class StatePeer:
    """`failed` is the text of an opening that failed, None when it is ready."""

    def __init__(self, rmq, config, status, worker, snapshot=None, create=True):
        command = [client_kit.build() / "tests/tools/state_peer", rmq.namesrv, config, status, worker,
                   str(snapshot or "-")] + (["create"] if create else [])
        self.process = subprocess.Popen([str(c) for c in command], stdin=subprocess.PIPE, text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.lines = queue.Queue()
        self.answers = {}
        self.changes = 0
        self.number = 0
        self.log = []
        self.readers = [threading.Thread(target=self._read, daemon=True),
                        threading.Thread(target=self._read_log, daemon=True)]
        for reader in self.readers:
            reader.start()
        first = self.lines.get(timeout=60)
        self.failed = (first or {"failed": "".join(self.log)}).get("failed")

    def _read(self):
        for line in self.process.stdout:
            event = json.loads(line)
            if "id" in event:
                self.answers[event["id"]] = event
            elif "changed" in event:
                self.changes += 1
            else:
                self.lines.put(event)
        self.lines.put(None)

    def _read_log(self):
        for line in self.process.stderr:
            self.log.append(line)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self.process.poll() is None:
            self.tell("quit")
            self.process.wait(timeout=30)

    def kill(self):
        self.process.kill()
        self.process.wait(timeout=30)

    def tell(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()

    def ask(self, *words):
        """Sends a write; its number, for answer()."""
        self.number += 1
        self.tell(self.number, *words)
        return self.number

    def answer(self, number, seconds=None):
        return cluster.wait_for(f"answer {number}", lambda: self.answers.get(number), seconds)

    def put(self, name, expected, **config):
        return self.answer(self.ask("put", name, expected,
                                    *[f"{k}={v}" for k, v in config.items()]))

    def target(self, name, state):
        return self.answer(self.ask("target", name, state))

    def delete(self, name):
        return self.answer(self.ask("delete", name))

    def tasks(self, name, incarnation, version, generation, count):
        return self.answer(self.ask("tasks", name, incarnation, version, generation, count))

    def get(self, what):
        self.tell(what)
        return self.lines.get(timeout=60)[what]

    def connectors(self, deleted=False):
        """What is known, by name."""
        return {c["name"]: c for c in self.get("export")["connectors"]
                if deleted or not c.get("deleted")}

    def states(self):
        return {(s["name"], s["task"]): s for s in self.get("states")}
