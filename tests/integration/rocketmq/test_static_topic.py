# SPDX-License-Identifier: Apache-2.0
"""Static topics of RocketMQ 5: their queues move from one broker to another under way."""
import glob
import os

import client_kit as kit
import cluster
import pytest

SCOPE = "__syslo__global__"
OFFSET_BLOCK = 10000  # a queue that has moved goes on at the next multiple


@pytest.fixture
def moving(rocketmq, unique):
    rmq, topic = rocketmq(own=True, brokers=2), unique("ST")
    rmq.mqadmin("updateStaticTopic", "-t", topic, "-qn", "4", "-b", "broker-0")
    yield rmq, topic
    for file in glob.glob(f"/tmp/{topic}-*"):  # mqadmin's notes of the mappings
        os.remove(file)


def leaders(rmq, topic):
    """{queue: broker} as rmq_peer sends to them."""
    sent = kit.peer(rmq, "send", topic=topic, count=8, text="{i}", batchCount=1)
    assert kit.total(sent)["sent"] == 8
    return {(e["broker"], e["queue"]) for e in sent if e["event"] == "sent"}


def test_queues_move_under_way(moving, tmp_path):
    rmq, topic = moving
    assert leaders(rmq, topic) == {(SCOPE, i) for i in range(4)}
    common = dict(topic=topic, quiet=True, routeRefresh=1000, progress=10)
    with kit.Running(rmq, "consume", tmp_path, assigned=True, from_=0, check=True,
                     **common) as reader, \
            kit.Running(rmq, "send", tmp_path, count=1 << 40, keyed=20, size=50, rate=2000,
                        **common) as sender:
        count = lambda one: max((e["count"] for e in one.events if e["event"] == "progress"),
                                default=0)
        cluster.wait_for("messages", lambda: count(sender) > 2000 and count(reader) > 1000)
        rmq.mqadmin("remappingStaticTopic", "-t", topic, "-b", "broker-0,broker-1")
        before = count(sender)
        cluster.wait_for("messages behind the move", lambda: count(sender) > before + 4000, 60)
        sender.close()
        total = kit.total(sender.events)
        assert total["failed"] == 0
        cluster.wait_for("all of them", lambda: count(reader) >= total["sent"] + 8, 60)
        reader.close()
        read = kit.total(reader.events)
    assert (read["missing"], read["outOfOrder"], read["offsetsBack"]) == (0, 0, 0)
    moved = [i for i in range(4) if int(rmq.call("broker-1", 30, {
        "topic": topic, "queueId": str(i)}, good=(0, 501))[0].get("extFields", {}).get(
            "offset", 0)) >= OFFSET_BLOCK]
    assert len(moved) == 2, moved
