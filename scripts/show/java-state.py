#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# summary: state of a cluster written by ours is read by the Java runtime's rules, and Java's by ours
"""On a real RocketMQ, with a checker of Java's rules that shares no code with ours
(tests/rocketmq/java_state.py):

  ours to Java  three workers create, change, pause, stop, resume and delete connectors at the same
                time and tell states; the checker reads both topics from their beginnings, and once
                more only the last record of each key, as compaction leaves them
  Java to ours  records that a Java runtime wrote (tests/data/java-state) are sent by the Java client;
                after each of them ours and the checker must know the same
  there and back  ours go on where Java's records end, then Java's again

  scripts/show.sh java-state [--steps N] [--version V]
"""
import argparse
import base64
import json
import os
import pathlib
import random
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/rocketmq"))
import client_kit  # noqa: E402
import cluster  # noqa: E402
import java_state  # noqa: E402
import state_kit  # noqa: E402
import stored  # noqa: E402

SEED = int(os.environ.get("SHOW_SEED", "1"))
MAPPED = {"STARTED": "STARTED", "PAUSED": "PAUSED", "STOPPED": "PAUSED"}


def records(rmq, topic):
    found = []
    for message in stored.messages(rmq, topic):
        found.append((stored.properties(message.properties)[b"KEYS"].decode(), message.body))
    return found


def last_of_each_key(found):
    last = {keys: i for i, (keys, _) in enumerate(found)}
    return [found[i] for i in sorted(last.values())]


def judge(configs, states):
    """The checker's state, and how many of the records Java could not have read."""
    java, unreadable = java_state.JavaState(), []
    for read, found in ((java.config, configs), (java.status, states)):
        for keys, body in found:
            try:
                read(keys, body)
            except java_state.Unreadable as why:
                unreadable.append(f"{base64.b64decode(keys)}: {why}")
    return java, unreadable


def as_java(connectors):
    return {name: (c["config"], MAPPED[c["target"]]) for name, c in connectors.items()}


def of_java(java):
    return {name: (c["properties"], c["target"]) for name, c in java.connectors.items()}


def kinds(configs, states):
    found = {}
    for keys, body in configs + states:
        key = base64.b64decode(keys).decode()
        kind = next(k for k in ("connector-", "target-state-", "delete-", "tasks-", "task-",
                                "status-connector-", "status-task-", "start-signal")
                    if key.startswith(k))
        if kind == "target-state-" and b'"deleted":true' in body:
            kind += " (deleted)"
        found[kind] = found.get(kind, 0) + 1
    return found


def settled(peers):
    """All workers know the same, and nothing that is void is left to be written over."""
    for peer in peers:
        peer.tell("keep", 0)

    def same():
        pictures = [{n: {k: v for k, v in c.items() if k not in ("epoch", "changed")}
                     for n, c in p.connectors(deleted=True).items()} for p in peers]
        return pictures[0] if all(p == pictures[0] for p in pictures) else None

    cluster.wait_for("all workers know the same", same)


def random_step(rng, peer, names):
    name = rng.choice(names)
    what = rng.random()
    if what < 0.45:
        return peer.ask("put", name, -1, "connector.class=file-source", f"n={rng.randrange(1000)}",
                        *[f"k{i}=v{i}" for i in range(rng.randrange(4))])
    if what < 0.75:
        return peer.ask("target", name, rng.choice(list(MAPPED)))
    if what < 0.85:
        return peer.ask("delete", name)
    if what < 0.93:
        peer.tell("state", name, rng.randrange(-1, 3), rng.choice(java_state.STATES[:4]),
                  rng.choice(["-", "STUCK", "FINISHED"]), rng.randrange(1, 5))
        return None
    return peer.ask("tasks", name, rng.randrange(1, 3), 1, rng.randrange(1, 50), 2)


def ours_to_java(table, rmq, steps):
    rng = random.Random(SEED)
    config, status = cluster.unique("config"), cluster.unique("status")
    names = ["plain", "with-dash-1", "a.b_c"]
    peers = [state_kit.StatePeer(rmq, config, status, f"w{i}") for i in range(3)]
    asked = []
    for _ in range(steps):
        peer = rng.choice(peers)
        number = random_step(rng, peer, names)
        if number:
            asked.append((peer, number))
        if rng.random() < 0.1:
            peer.connectors()
    done = [peer.answer(number, 60)["result"] for peer, number in asked]
    for peer in peers:
        peer.put("last", -1, n="1", **{"connector.class": "file-source"})
    for name in names + ["last"]:
        peers[0].put(name, -1, n="2", **{"connector.class": "file-source"})
    peers[0].target("plain", "STOPPED")
    peers[1].delete("a.b_c")
    incarnation = peers[0].connectors()["plain"]["incarnation"]
    peers[0].tasks("plain", incarnation, 1, 100, 3)
    peers[0].tell("state", "plain", 0, "FAILED", "STUCK", 100)
    peers[0].tell("state", "plain", -1, "RUNNING", "-", 100)
    cluster.wait_for("the last state", lambda: peers[2].states().get(("plain", -1), {}).get(
        "java") == "RUNNING")
    settled(peers)
    settled(peers)
    configs, states = records(rmq, config), records(rmq, status)
    java, unreadable = judge(configs, states)
    table.check("writes of three workers at once", len(done), ">=", steps // 2)
    table.check("  of them refused", sum(r < 0 for r in done), ">=", 1, "no such connector, or late")
    for kind, count in sorted(kinds(configs, states).items()):
        table.check(f"  records {kind}", count, ">=", 1)
    table.check("records that Java cannot read", len(unreadable), "=", 0, "; ".join(unreadable)[:300])
    table.check("keys that Java drops, but for tasks-", sum(not k.startswith("tasks-")
                                                            for k in java.dropped), "=", 0)
    mine = as_java(peers[0].connectors())
    table.check("connectors of ours that Java sees otherwise", wrong(mine, of_java(java)), "=", 0)
    left, unreadable = judge(last_of_each_key(configs), last_of_each_key(states))
    table.check("  when compaction has left one record a key", wrong(mine, of_java(left)), "=", 0)
    told = {k: (s["java"], s["worker"]) for k, s in peers[0].states().items()}
    table.check("states that Java sees otherwise", wrong(
        {k: v for k, v in told.items() if k[0] == "plain"},
        {k: (s["state"], s["worker"]) for k, s in java.states.items() if k[0] == "plain"}), "=", 0)
    for peer in peers:
        peer.close()


def wrong(a, b):
    return sum(a.get(k) != b.get(k) for k in set(a) | set(b))


def send(peer, topic, record):
    peer.send(topic, keys=record["keys"], body=base64.b64encode(record["body"].encode()).decode())


def java_to_ours(table, rmq):
    dump = [json.loads(line) for line in
            (ROOT / "tests/data/java-state/dump.jsonl").read_text().splitlines()]
    config, status = cluster.unique("config"), cluster.unique("status")
    for topic in (config, status):
        rmq.create_topic(topic, queues=1)
    java, sender, differ, count = java_state.JavaState(), rmq.peer(), 0, 0
    ours = state_kit.StatePeer(rmq, config, status, "w1")
    for record in dump:
        topic = {"connector-config-topic": config, "connector-status-topic": status}.get(
            record["topic"])
        if not topic:
            continue
        count += 1
        send(sender, topic, record)
        (java.config if topic == config else java.status)(record["keys"], record["body"])

        def same():
            return (as_java(ours.connectors()) == of_java(java) and
                    {k: s["epoch"] for k, s in ours.states().items()} ==
                    {k: s["generation"] for k, s in java.states.items()}) or None

        try:
            cluster.wait_for("ours to know the same", same, 5)
        except cluster.Trouble:
            differ += 1
    table.check("records of a Java runtime", count, ">=", 39)
    table.check("after which ours knew something else", differ, "=", 0)
    return config, status, java, sender, ours


def there_and_back(table, rmq, config, status, java, sender, ours):
    assert ours.put("src1", -1, n="ours", **{"connector.class": "x"})["result"] == 0
    again = ours.put("new", 0, n="ours")
    ours.target("new", "PAUSED")
    table.check("version of a connector made anew, above its old", ours.connectors()["src1"][
        "version"], ">", 1)
    # A Java worker that was away comes with its old table, then somebody changes something there.
    body = {"schema": {"optional": True, "type": "struct", "fields": [
        {"optional": True, "field": "state", "type": "string"},
        {"field": "epoch", "optional": True, "type": "int64"},
        {"field": "properties", "keys": {"optional": True, "type": "string"},
         "values": {"optional": True, "type": "string"}, "optional": True, "type": "map"}]}}

    def java_config(name, epoch, value):
        body["payload"] = {"state": "STARTED", "epoch": epoch, "properties": {"n": value}}
        keys = base64.b64encode(f"connector-{name}".encode()).decode()
        send(sender, config, {"keys": keys, "body": json.dumps(body)})

    java_config("src0", 1795365837250, "old")
    java_config("new", 1795365837250, "old")
    java_config("marker", 1795365837251, "x")
    cluster.wait_for("it was read", lambda: "marker" in ours.connectors())
    table.check("deleted connectors an old table brings back", int("src0" in ours.connectors()), "=", 0)
    table.check("connectors an old table changes", int(
        ours.connectors()["new"]["config"] != {"n": "ours"}), "=", 0)
    java_config("new", 1 << 42, "java")
    cluster.wait_for("it was read", lambda: ours.connectors()["new"]["config"] == {"n": "java"})
    table.check("version after a change by Java", ours.connectors()["new"]["version"], "=",
                again["version"] + 1)
    assert ours.put("new", again["version"] + 1, n="ours again")["result"] == 0
    ours.tell("keep", 0)
    ours.connectors()
    java, unreadable = judge(records(rmq, config), records(rmq, status))
    table.check("records of both that Java cannot read", len(unreadable), "=", 0)
    table.check("connectors seen otherwise at the end", wrong(as_java(ours.connectors()),
                                                              of_java(java)), "=", 0)
    ours.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--version", default=cluster.VERSIONS[0])
    given = parser.parse_args()
    table = client_kit.Table()
    with cluster.Cluster(given.version) as rmq:
        ours_to_java(table, rmq, given.steps)
        there_and_back(table, rmq, *java_to_ours(table, rmq))
    return 1 if table.failures else 0


if __name__ == "__main__":
    sys.exit(main())
