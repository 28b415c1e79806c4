# SPDX-License-Identifier: Apache-2.0
"""A standalone worker in shows: started, killed, asked over REST. Standard library only."""
import json
import os
import pathlib
import re
import subprocess
import urllib.error
import urllib.request

import cluster

ROOT = pathlib.Path(__file__).resolve().parents[2]
FILE_SOURCE, FILE_SINK = "file-source", "file-sink"
STRING = "org.apache.rocketmq.connect.runtime.converter.record.StringConverter"


def program():
    return pathlib.Path(os.environ.get("SHOW_BIN") or
                        pathlib.Path(os.environ.get("RC_BUILD", ROOT / "build/dev")) /
                        "rocketmq-connect").resolve()


class Worker:
    """One worker; configuration and log lie in its folder. `prefix` is a command that runs it,
    `more_env` its additional environment, `host` the address it is called at."""

    command = "standalone"
    host = "127.0.0.1"
    prefix = ()
    more_env = {}

    def __init__(self, folder, namesrv, **keys):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.keys = {"httpPort": 0, "storePathRootDir": self.folder / "store",
                     "namesrvAddr": namesrv, **{k.replace("__", "."): v for k, v in keys.items()}}
        self.log = self.folder / "worker.log"
        self.process = None
        self.port = self.starts = 0
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def start(self, wait=True):
        conf = self.folder / f"connect-{self.command}.conf"
        conf.write_text("".join(f"{k}={v}\n" for k, v in self.keys.items()), "utf-8")
        self.port = 0
        self.starts += 1
        with open(self.log, "ab") as log:
            self.offset = log.tell()
            self.process = subprocess.Popen([*self.prefix, program(), self.command, "-c", conf],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            cwd=self.folder, env={**os.environ, **self.more_env})
        if wait:
            self.wait()
        return self

    def wait(self, seconds=60):
        """Until REST answers."""
        def listening():
            if self.process.poll() is not None:
                raise cluster.Trouble(f"the worker ended with {self.process.returncode}: "
                                      f"{self.said()[-3000:]}")
            found = re.search(r"REST on http://[^:]*:(\d+)", self.said(self.offset))
            return int(found.group(1)) if found else 0
        self.port = cluster.wait_for("the worker's REST", listening, seconds)

    def said(self, offset=0):
        with open(self.log, "rb") as log:
            log.seek(offset)
            return log.read().decode("utf-8", "replace")

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def stop(self, seconds=60):
        self.process.terminate()
        return self.process.wait(seconds)

    def request(self, method, path, body=None):
        request = urllib.request.Request(
            f"http://{self.host}:{self.port}{path}", method=method,
            headers={"Content-Type": "application/json"},
            data=json.dumps(body).encode() if body is not None else None)
        try:
            with self.opener.open(request, timeout=60) as answer:
                return answer.read().decode()
        except urllib.error.HTTPError as error:
            raise cluster.Trouble(f"{method} {path}: {error.code} {error.read()[:2000]}") from error

    def create(self, name, **config):
        self.request("POST", f"/connectors/{name}",
                     {k.replace("__", "."): str(v) for k, v in config.items()})

    def status(self, name):
        return json.loads(self.request("GET", f"/api/v1/connectors/{name}/status"))

    def states(self, name):
        """States of the connector's tasks; empty while the worker is not there."""
        try:
            return [t["state"] for t in self.status(name)["tasks"]]
        except (OSError, KeyError, cluster.Trouble):
            return []

    def metric(self, name):
        """Sum of a metric over its labels."""
        text = self.request("GET", "/metrics")
        return sum(float(x) for x in re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.M))

    def usage(self):
        """CPU seconds and MiB of resident memory, now and at most."""
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
            status = dict(line.split(":", 1) for line in file)
        return ((int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"),
                int(status["VmRSS"].split()[0]) / 1024, int(status["VmHWM"].split()[0]) / 1024)
