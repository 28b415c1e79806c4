# SPDX-License-Identifier: Apache-2.0
"""MirrorMaker's source from a Kafka broker, and Iceberg's sink as far as it goes with no table."""
import json

import cluster
import files
import jars_kit as kit
import servers

MIRROR = "org.apache.kafka.connect.mirror.MirrorSourceConnector"
ICEBERG = "org.apache.iceberg.connect.IcebergSinkConnector"
PARTITIONS = 4


def mirror(rmq, count, folder, rng, table, plan):
    """Kafka broker -> MirrorSourceConnector -> RocketMQ

    The connector makes topics at its target, which it takes for Kafka: it is told the source again.
    """
    folder.mkdir()
    lines = folder / "lines.txt"
    with open(lines, "wb", buffering=1 << 20) as file:
        for number in range(count):
            file.write(b"%d\t%s\n" % (number, files.line(number)))
    topic = rmq.create_topic("src_items", queues=PARTITIONS)
    numbers = kit.Numbers(count, files.line)
    where = {}
    strayed = []

    def take(message):
        number = files.number_of(message.body)
        numbers.take(number, message.body)
        if where.setdefault(number, message.queue) != message.queue:
            strayed.append(number)
    reader = kit.Topic(rmq, topic, take)

    def done():
        reader.poll()
        return not numbers.lost
    with servers.Kafka(folder / "kafka", PARTITIONS) as broker:
        broker.produce("items", lines)
        with kit.Trial(rmq, folder / "trial", {"mirror": kit.jars("connect-mirror")}, rng,
                       plan) as trial:
            trial.worker.create("mirror", connector__class=MIRROR, **{
                "source.cluster.alias": "src", "target.cluster.alias": "rmq",
                "source.cluster.bootstrap.servers": broker.bootstrap,
                "target.cluster.bootstrap.servers": broker.bootstrap,
                "topics": "items", "replication.policy.separator": "_",
                "sync.topic.acls.enabled": False, "sync.topic.configs.enabled": False,
                "emit.offset-syncs.enabled": False, "consumer.auto.offset.reset": "earliest",
                "replication.factor": 1, "offset-syncs.topic.replication.factor": 1,
                "key.converter": kit.BYTES, "value.converter": kit.BYTES})
            took = trial.drive(lambda: numbers.share, done)
    table.moved("connect-mirror source 3.9.1", trial, took, numbers)
    table.check("  records in two queues, or one queue only",
                (len(strayed), len(set(where.values())) > 1 or count < 100), "=", (0, True))


def iceberg(rmq, count, folder, rng, table, plan):
    """IcebergSinkConnector is loaded and checks its configuration"""
    folder.mkdir()
    with kit.Trial(rmq, folder, {"iceberg": kit.jars("iceberg")}, rng, ()) as trial:
        plugins = json.loads(trial.worker.request("GET", "/api/v1/connector-plugins"))
        found = [p for p in plugins if ICEBERG in json.dumps(p)]
        table.check("iceberg-kafka-connect 1.8.1: listed", len(found), "=", 1)
        options = json.loads(trial.worker.request(
            "GET", f"/api/v1/connector-plugins/{ICEBERG}/config"))
        table.check("  options shown", len(options), ">=", 10)
        try:
            trial.worker.create("bad", connector__class=ICEBERG, connect__topicnames="t",
                                iceberg__control__commit__threads="many")
            said = "accepted"
        except cluster.Trouble as trouble:
            said = str(trouble)
        table.check("  a wrong number is refused", "commit.threads" in said, "=", True, said[-160:])
