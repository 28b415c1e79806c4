#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# summary: two jars with conflicting versions of one library; reload and an upgrade under load
"""Two Java connectors bring one library each, of the same class names and conflicting versions: the
one's method is not in the other's. They share a process (host.group), so only class loaders keep
them apart. Then, while both run:

  GET /plugin/reload again and again; a new version of one jar appears and is reloaded: what runs
  goes on, a restarted connector runs the new version, the other one stays as it is; a broken jar
  appears, is refused with its reason, and harms nobody.

  scripts/show.sh host-conflicts [--records N]
"""
import argparse
import json
import os
import pathlib
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/faults"))
sys.path.insert(0, str(ROOT / "tests/hosts"))
import conflicts  # noqa: E402
import hosts_kit  # noqa: E402
import kit  # noqa: E402

ROWS = []


def check(title, good, text):
    ROWS.append(good)
    print(f"{title:58} {text:>34}  {'ok' if good else 'FAIL'}", flush=True)


class Stream:
    """A connector, its sink, and what it has to give."""

    def __init__(self, worker, name, class_name, count):
        self.worker, self.name, self.count = worker, name, count
        self.output = worker.folder / f"{name}.txt"
        worker.create(f"{name}-out", connector__class="file-sink", filename=self.output,
                      connect__topicnames=name)
        worker.create(name, connector__class=class_name, connect__topicname=name, count=count,
                      host__group="both")

    def lines(self):
        return self.output.read_text("ascii").splitlines() if self.output.exists() else []

    def finish(self):
        kit.wait_for(f"{self.count} lines of {self.name}; {self.worker.said()[-600:]}",
                     lambda: hosts_kit.count_lines(self.output) >= self.count, 120, 0.05)
        lines = self.lines()
        whole = [line.split()[0] for line in lines] == [str(n) for n in range(1, self.count + 1)]
        return whole, sorted({line.split(" ", 1)[1] for line in lines})


def version(worker, class_name):
    found = [p["version"] for p in json.loads(worker.request("GET", "/api/v1/connector-plugins"))
             if p["class"] == class_name]
    return found[0] if found else None


def under_load(worker, plugins, streams, reloads):
    """Reloads, the last of them with a new version of alpha's jar and a broken one."""
    took = []
    for n in range(reloads):
        if n == reloads // 2:
            conflicts.build(plugins, "alpha", "3.0", "third")
            (plugins / "broken.jar").write_bytes(b"PK\3\4 this is no archive")
        began = time.monotonic()
        worker.request("GET", "/plugin/reload")
        took.append(time.monotonic() - began)
        time.sleep(0.1)
    busy = all(worker.states(s.name) == ["RUNNING"] and
               hosts_kit.count_lines(s.output) < s.count for s in streams)
    check(f"{reloads} reloads in mid-way: those that run go on", busy,
          f"longest {max(took):.2f} s")
    check("no host died of it", "ended: " not in worker.said() and "killed" not in worker.said(),
          f"{len(hosts_kit.hosts(worker))} hosts")
    refused = worker.request("GET", "/api/v1/connector-plugins?refused=true")
    check("a broken jar is refused with its reason", "broken.jar" in refused, "broken.jar")
    check("the new version is listed", version(worker, "alpha.AlphaSource") == "3.0",
          str(version(worker, "alpha.AlphaSource")))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, default=800000)
    options = parser.parse_args()
    top = pathlib.Path(os.environ["SHOW_DIR"])
    plugins = top / "plugins"
    hosts_kit.build_java()
    conflicts.build(plugins, "alpha", "1.0", "first")
    conflicts.build(plugins, "beta", "2.0", "second")
    worker = hosts_kit.Worker(top / "worker", pluginPaths=plugins).start()
    try:
        streams = [Stream(worker, "alpha", "alpha.AlphaSource", options.records),
                   Stream(worker, "beta", "beta.BetaSource", options.records)]
        kit.wait_for("both", lambda: all(kit.size_of(s.output) > 1000 for s in streams), 60)
        check("both run in one process", len(set(hosts_kit.group_hosts(worker, "both"))) == 1,
              "host.group=both")
        under_load(worker, plugins, streams, 10)
        worker.request("POST", "/api/v1/connectors/alpha/restart?includeTasks=true")
        for stream, old in zip(streams, ("first", "second")):
            whole, seen = stream.finish()
            wanted = ["first", "third"] if stream.name == "alpha" else ["second"]
            check(f"{stream.name}: {stream.count:,} records, none lost or twice", whole,
                  f"library: {', '.join(seen)}")
            check(f"{stream.name}: its own library, {' then '.join(wanted)}",
                  seen == wanted, f"began with {old}")
    finally:
        code = worker.stop()
    check("the worker ends", code == 0, f"exit status {code}")
    return 0 if all(ROWS) else 1


if __name__ == "__main__":
    sys.exit(main())
