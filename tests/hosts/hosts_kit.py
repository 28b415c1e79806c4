# SPDX-License-Identifier: Apache-2.0
"""What shows of hosted connectors share: workers over the embedded log, and what their hosts do.
Standard library only; $SHOW_BIN is the program."""
import json
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/rocketmq"))
import cluster  # noqa: E402
import worker_kit  # noqa: E402

Trouble = cluster.Trouble
TICK, LINE = "com.example.connectors.TickSource", "com.example.connectors.LineSink"
JAR = ROOT / "build/hosts/java/rc-host.jar"
EXAMPLE = ROOT / "build/hosts/example/example-connectors-1.2.3.jar"
KAFKA_FILE = ROOT / "build/hosts/example/kafka/connect-file-3.9.1.jar"
FAKE = ROOT / "tests/fakehost/fakehost.py"


def sh(*argv):
    """Runs a command; its words only when it fails."""
    done = subprocess.run([str(x) for x in argv], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Trouble(f"{argv[0]}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout.strip()


def build_java():
    """The Java host and the connectors of tests/hosts/java."""
    sh(ROOT / "scripts/build-java-host.sh")
    sh(ROOT / "tests/hosts/java/build.sh", EXAMPLE.parent)


def build_trouble(folder):
    """tests/plugins/trouble.c as a plugin file."""
    out = pathlib.Path(folder) / "trouble.so"
    sh("cc", "-std=gnu17", "-O2", "-fPIC", "-shared", "-I", ROOT / "include",
       ROOT / "tests/plugins/trouble.c", "-o", out)
    return out


def manifest(folder, name, command, **more):
    """A folder for pluginPaths with one foreign host; `more` are members of its manifest."""
    place = pathlib.Path(folder) / name
    place.mkdir(parents=True)
    (place / "connector.json").write_text(
        json.dumps({"name": name, "command": [str(x) for x in command], "protocol": [1], **more}))
    return place


class Worker(worker_kit.Worker):
    """One over the embedded log."""

    def __init__(self, folder, **keys):
        super().__init__(folder, "", **{"host.java.jar": JAR, **keys})
        del self.keys["namesrvAddr"]

    def update(self, name, config):
        return self.request("PUT", f"/api/v1/connectors/{name}/config", config)

    def remove(self, name):
        return self.request("DELETE", f"/api/v1/connectors/{name}")


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def group_hosts(worker, group):
    """Process ids of all hosts a group has had."""
    return re.findall(rf"host of 'group {group}'.* started: .*pid (\d+)", worker.said())


def host_of(worker, connector):
    """Process id of the connector's latest host, None before the first one."""
    found = re.findall(rf"host of '{connector}'.* started: .*pid (\d+)", worker.said())
    return int(found[-1]) if found else None


def hosts(worker):
    """Process ids of all hosts of the worker that live."""
    found = []
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text("ascii").rsplit(")", 1)[1].split()
        except (OSError, UnicodeDecodeError):
            continue
        if int(fields[1]) == worker.process.pid and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def cpu_s(pid):
    """CPU seconds of a process so far."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def pss_mib(pid):
    """Memory of a process, shared pages counted by share."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        return int(re.search(r"^Pss:\s+(\d+)", file.read(), re.M).group(1)) / 1024


def count_lines(path):
    try:
        with open(path, "rb") as file:
            return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))
    except FileNotFoundError:
        return 0
