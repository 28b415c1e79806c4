# SPDX-License-Identifier: Apache-2.0
"""The admin functions of the C client against real servers, compared with what the Java tools and
requests by hand say of the same cluster."""
import json
import os
import pathlib
import subprocess

import cluster
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
PEER = pathlib.Path(os.environ.get("RC_BUILD", ROOT / "build/dev")) / "tests/tools/rmq_peer"


class Refused(Exception):
    """The client's error, as rmq_peer prints it."""


def admin(rmq, call, acl="", space=None, **options):
    """One admin function by rmq_peer; its value, or Refused."""
    command = [PEER, "--namesrv", rmq.namesrv]
    acl = rmq.acl if acl == "" else acl
    command += ["--acl", acl] if acl else []
    command += ["--nameSpace", space] if space else []
    command += ["admin", "--call", call]
    for name, value in options.items():
        command += ["--" + name, str(value)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    if done.returncode:
        raise Refused(done.stdout + done.stderr)
    return next(e["value"] for e in events if e["event"] == "answer")


@pytest.fixture(params=cluster.VERSIONS)
def rmq(request, rocketmq):
    return rocketmq(request.param)


@pytest.fixture(params=cluster.VERSIONS)
def guarded(request, rocketmq):
    return rocketmq(request.param, acl="rocketmq:12345678")


def test_cluster_settings_and_figures(rmq):
    name = rmq.route("TBW102")[0]["brokerName"]
    info = admin(rmq, "clusterInfo")
    assert [(b["name"], b["id"], b["cluster"]) for b in info] == [(name, 0, "DefaultCluster")]
    assert info[0]["address"].endswith(f":{rmq.broker_port()}")
    listed = rmq.mqadmin("clusterList", "-n", rmq.namesrv).split()
    assert info[0]["address"] in listed
    config = admin(rmq, "brokerConfig", broker=name)
    assert config["brokerName"] == name
    assert config["brokerRole"] == "ASYNC_MASTER"
    assert int(config["maxMessageSize"]) == 4194304
    body = rmq.call("broker-0", 26)[1].decode()
    wanted = dict(line.split("=", 1) for line in body.splitlines() if "=" in line)
    assert config.keys() == wanted.keys()
    runtime = admin(rmq, "brokerRuntime", broker=name)
    assert runtime["brokerVersionDesc"] == "V" + rmq.version.replace(".", "_")


def test_topics_come_and_go(rmq, unique):
    topic = unique()
    admin(rmq, "createTopic", topic=topic, queues=3)
    made = rmq.route(topic)
    assert [(q["readQueueNums"], q["writeQueueNums"], q["perm"]) for q in made] == [(3, 3, 6)]
    assert len(admin(rmq, "route", topic=topic)) == 3
    listed = admin(rmq, "topicList")
    assert topic in listed and listed == sorted(listed)
    assert set(listed) == set(json.loads(rmq.call("namesrv", 206)[1])["topicList"])
    admin(rmq, "createTopic", topic=topic, queues=5, perm=4)
    assert [(q["readQueueNums"], q["perm"]) for q in rmq.route(topic)] == [(5, 4)]
    admin(rmq, "deleteTopic", topic=topic)
    assert rmq.route(topic) == []
    assert topic not in admin(rmq, "topicList")
    admin(rmq, "deleteTopic", topic=topic)
    with pytest.raises(Refused, match="knows no master of broker 'nobody'"):
        admin(rmq, "createTopic", topic=topic, broker="nobody")


def test_offsets_of_queues(rmq, java, unique):
    topic = rmq.create_topic(unique(), queues=2)
    java(rmq).send(topic, queue=1, text="{i}", count=7)
    broker = rmq.route(topic)[0]["brokerName"]
    stats = admin(rmq, "topicStats", topic=topic)
    assert [(q["topic"], q["broker"], q["queue"], q["min"], q["max"]) for q in stats] == [
        (topic, broker, 0, 0, 0), (topic, broker, 1, 0, 7)]
    shown = rmq.mqadmin("topicStatus", "-n", rmq.namesrv, "-t", topic)
    rows = [line.split()[:4] for line in shown.splitlines() if line.startswith(broker)]
    assert rows == [[q["broker"], str(q["queue"]), str(q["min"]), str(q["max"])] for q in stats]
    where = {"topic": topic, "broker": broker, "queue": 1}
    assert admin(rmq, "offsetMin", **where) == 0
    assert admin(rmq, "offsetMax", **where) == 7
    assert admin(rmq, "offsetByTime", timestamp=1, **where) == 0
    assert admin(rmq, "offsetByTime", timestamp=stats[1]["last"], **where) <= 6
    assert admin(rmq, "offsetByTime", timestamp=stats[1]["last"] + 60000, **where) in (6, 7)
    with pytest.raises(Refused, match=f"topic '{topic}' is not on broker 'nobody'"):
        admin(rmq, "offsetMax", topic=topic, broker="nobody", queue=0)


def test_groups_and_their_lag(rmq, java, unique):
    topic, group = rmq.create_topic(unique(), queues=1), unique("G")
    java(rmq).send(topic, queue=0, text="{i}", count=10)
    broker = rmq.route(topic)[0]["brokerName"]
    where = {"topic": topic, "broker": broker, "queue": 0, "group": group}
    admin(rmq, "createGroup", group=group)
    if rmq.version[0] == "5":
        assert admin(rmq, "committed", **where) == -1
    admin(rmq, "commit", offset=4, **where)
    assert admin(rmq, "committed", **where) == 4
    assert rmq.committed(group, topic) == {(broker, 0): 4}
    lag = admin(rmq, "consumeStats", group=group, topic=topic)
    assert lag["total"] == 6
    assert [(q["queue"], q["brokerOffset"], q["consumerOffset"]) for q in lag["queues"]] == [
        (0, 10, 4)]
    assert admin(rmq, "members", group=group, topic=topic) == []
    with pytest.raises(Refused, match="no consumer is connected to any broker"):
        admin(rmq, "consumerConnection", group=group)

    consumer = java(rmq).consume(topic, group)
    cluster.wait_for("the consumer's queue",
                     lambda: consumer.queues == {(topic, "broker-0", 0)})
    members = admin(rmq, "members", group=group, topic=topic)
    connections = admin(rmq, "consumerConnection", group=group)
    assert len(members) == 1
    assert [c["clientId"] for c in connections] == members
    assert connections[0]["language"] == "JAVA"
    consumer.stop()
    admin(rmq, "commit", offset=10, **where)
    lag = admin(rmq, "consumeStats", group=group)
    assert sum(q["brokerOffset"] - q["consumerOffset"]
               for q in lag["queues"] if q["topic"] == topic) == 0
    admin(rmq, "deleteGroup", group=group)
    assert rmq.committed(group, topic) in ({}, {(broker, 0): 0})


def test_names_in_a_namespace(rmq, unique):
    topic = unique()
    admin(rmq, "createTopic", topic=topic, queues=1, space="NS")
    assert len(rmq.route("NS%" + topic)) == 1
    assert topic in admin(rmq, "topicList", space="NS")
    assert [q["topic"] for q in admin(rmq, "topicStats", topic=topic, space="NS")] == [topic]
    admin(rmq, "deleteTopic", topic=topic, space="NS")
    assert rmq.route("NS%" + topic) == []


def test_credentials_are_checked(guarded, unique):
    topic = unique()
    admin(guarded, "createTopic", topic=topic, queues=1)
    assert len(guarded.route(topic)) == 1
    for acl in (None, "rocketmq:wrong-password", "nobody:12345678"):
        with pytest.raises(Refused) as refused:
            admin(guarded, "createTopic", topic=unique(), acl=acl)
        text = str(refused.value)
        assert "NO_PERMISSION" in text, text
        assert "UPDATE_AND_CREATE_TOPIC of topic" in text and "at broker" in text, text
        assert "12345678" not in text and "wrong-password" not in text, text
