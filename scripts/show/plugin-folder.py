#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# summary: a folder of any Java connectors: loaded, listed, validated, and run as a small file says
"""For use by hand with jars that are on no registry:

  scripts/show.sh plugin-folder [DIR] [--run FILE] [--namesrv ADDRESS | --embedded] [OPTION ...]

This is `rocketmq-connect plugin try DIR` with the Java host built and a RocketMQ 5.5 started for it;
--namesrv names another one, --embedded runs on files. OPTIONs go to the command: --stay, --patience,
--set and so on; `rocketmq-connect plugin try --help` shows them and what FILE looks like.

Without DIR the folder is made of Kafka's file connectors and the example of tests/hosts/java, and
these are run too: that the command works.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/jars"))
import jars_kit  # noqa: E402
import client_kit  # noqa: E402
import cluster  # noqa: E402


def example(folder):
    """A folder of plugins, and a file with what to run of them."""
    place = folder / "example-plugins"
    place.mkdir()
    (place / "connect-file").symlink_to(jars_kit.jars("connect-file"))
    jar = next((ROOT / "build/hosts/example").glob("example-connectors-*.jar"))
    (place / jar.name).symlink_to(jar)
    source, copy = folder / "in.txt", folder / "out.txt"
    source.write_text("".join(f"line {n}\n" for n in range(1000)), "ascii")
    kafka = "org.apache.kafka.connect.file.FileStream"
    wanted = {
        "ticks": {"config": {"connector.class": "com.example.connectors.TickSource",
                             "connect.topicname": "ticks", "count": 1000}, "records": 1000},
        "lines": {"config": {"connector.class": "com.example.connectors.LineSink",
                             "connect.topicnames": "ticks", "file": str(folder / "ticks.txt")},
                  "records": 1000},
        "in": {"config": {"connector.class": f"{kafka}SourceConnector", "file": str(source),
                          "topic": "files"}, "records": 1000},
        "out": {"config": {"connector.class": f"{kafka}SinkConnector", "file": str(copy),
                           "connect.topicnames": "files"}, "records": 1000}}
    file = folder / "run.json"
    file.write_text(json.dumps(wanted), "utf-8")
    return place, ["--run", file]


def main():
    options = argparse.ArgumentParser(description=__doc__,
                                      formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("folder", nargs="?")
    options.add_argument("--namesrv")
    options.add_argument("--embedded", action="store_true")
    args, more = options.parse_known_args()
    jars_kit.build_hosts()
    place, wanted = (args.folder, []) if args.folder else example(client_kit.scratch())
    rmq = None if args.namesrv or args.embedded else cluster.Cluster("5.5.0").start()
    namesrv = rmq.namesrv if rmq else args.namesrv
    try:
        command = [os.environ["SHOW_BIN"], "plugin", "try", place, *wanted, *more, "--set",
                   f"host.java.jar={ROOT / 'build/hosts/java/rc-host.jar'}"]
        done = subprocess.run([*command, *(["--namesrv", namesrv] if namesrv else [])], check=False)
    finally:
        if rmq:
            rmq.stop()
    sys.exit(done.returncode)


main()
