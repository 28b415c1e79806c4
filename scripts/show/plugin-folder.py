#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# summary: a folder of any Java connectors: loaded, listed, validated, and run as a small file says
"""For use by hand with jars that are on no registry: scripts/show.sh plugin-folder DIR [--run FILE]

A worker with pluginPaths=DIR has to list a connector at least, and answer for each one what its
options are and whether an empty configuration would do (a refusal with words counts as an answer; a
host that dies, or no answer, does not).

FILE is JSON and names connectors to run, which have to reach RUNNING and stay so for --seconds
(10); "records" is how many records the connector has to move within --patience (120):

  {"orders": {"config": {"connector.class": "com.example.OrderSource",
                         "connect.topicname": "orders"},
              "records": 100}}

A RocketMQ 5.5 of its own is started, unless --namesrv names one. Without DIR the folder is made of
Kafka's file connectors and the example of tests/hosts/java, which shows that the command works.
"""
import argparse
import json
import pathlib
import re
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/jars"))
import jars_kit  # noqa: E402
import client_kit  # noqa: E402
import cluster  # noqa: E402

METRICS = "rocketmq_connect_task_records_(?:written|put)_total"


def example(folder):
    """A folder of plugins and what to run of them."""
    place = folder / "example-plugins"
    place.mkdir()
    (place / "connect-file").symlink_to(jars_kit.jars("connect-file"))
    _, built = jars_kit.build_hosts()
    jar = next(built.glob("example-connectors-*.jar"))
    (place / jar.name).symlink_to(jar)
    return place, {"ticks": {"config": {"connector.class": "com.example.connectors.TickSource",
                                        "connect.topicname": "ticks", "count": "1000"},
                             "records": 1000}}


def moved(worker, name):
    """Records that the connector's tasks have written to RocketMQ or put into their target."""
    found = re.findall(rf'^{METRICS}{{[^}}]*connector="{re.escape(name)}"[^}}]*}} (\S+)$',
                       worker.request("GET", "/metrics"), re.M)
    return int(sum(map(float, found)))


def is_in(place, location):
    """Whether a plugin comes from the folder; links in it are followed."""
    places = {place, *place.iterdir()} if place.is_dir() else {place}
    real = {p.resolve() for p in places}
    where = pathlib.Path(location or "/").resolve()
    return bool(real & {where, *where.parents})


def validate(worker, table, plugin):
    name = plugin["class"]
    path = f"/api/v1/connector-plugins/{name}"
    try:
        options = json.loads(worker.request("GET", f"{path}/config"))
        said = worker.request("PUT", f"{path}/config/validate", {"connector.class": name})
        errors = json.loads(said).get("error_count", 0)
        table.check(f"{name}", "answers", "=", "answers",
                    f"{plugin.get('type')}, version {plugin.get('version')}, {len(options)} "
                    f"options, {errors} of them missing or wrong when empty")
    except cluster.Trouble as trouble:
        table.check(f"{name}", str(trouble), "=", "answers")


def run(worker, table, name, wanted, args):
    try:
        worker.create(name, **wanted["config"])
        cluster.wait_for(f"{name} to run", lambda: set(worker.states(name)) and
                         set(worker.states(name)) <= {"RUNNING", "FINISHED"}, args.patience)
        if wanted.get("records"):
            cluster.wait_for("its records", lambda: moved(worker, name) >= wanted["records"],
                             args.patience)
        time.sleep(args.seconds)
        table.check(f"{name} runs", ",".join(sorted(set(worker.states(name)))), "!=", "FAILED",
                    f"{moved(worker, name):,} records")
    except cluster.Trouble as trouble:
        table.check(f"{name} runs", f"{trouble}", "=", "")


def main():
    options = argparse.ArgumentParser(description=__doc__,
                                      formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("folder", nargs="?")
    options.add_argument("--run", metavar="FILE")
    options.add_argument("--namesrv")
    options.add_argument("--seconds", type=float, default=10)
    options.add_argument("--patience", type=float, default=120)
    args = options.parse_args()
    table = client_kit.Table()
    scratch = client_kit.scratch()
    jars_kit.build_hosts()
    place, wanted = (pathlib.Path(args.folder).resolve(), {}) if args.folder else example(scratch)
    if args.run:
        wanted = json.loads(pathlib.Path(args.run).read_text("utf-8"))
    rmq = None if args.namesrv else cluster.Cluster("5.5.0").start()
    try:
        check(place, wanted, args, table, rmq.namesrv if rmq else args.namesrv, scratch)
    finally:
        if rmq:
            rmq.stop()
    table.end()


def check(place, wanted, args, table, namesrv, scratch):
    worker = jars_kit.worker_kit.Worker(
        scratch / "worker", namesrv, pluginPaths=place,
        host__java__jar=ROOT / "build/hosts/java/rc-host.jar")
    try:
        worker.start()
        listed = json.loads(worker.request("GET", "/api/v1/connector-plugins?connectorsOnly=false"))
        found = [p for p in listed if is_in(place, p.get("location"))]
        table.check(f"plugins found in {place}", len(found), ">=", 1)
        for plugin in found:
            if plugin.get("type") in ("source", "sink"):
                validate(worker, table, plugin)
            else:
                table.note(plugin["class"], plugin.get("type"))
        for name, one in wanted.items():
            run(worker, table, name, one, args)
    finally:
        worker.kill()


main()
