# SPDX-License-Identifier: Apache-2.0
"""Kafka's file connectors, and a user's own OpenMessaging connectors (tests/hosts/java)."""
import jars_kit as kit

FILE_SOURCE = "org.apache.kafka.connect.file.FileStreamSourceConnector"
FILE_SINK = "org.apache.kafka.connect.file.FileStreamSinkConnector"
OWN = "com.example.connectors."
WIDTH = 100


def line(number):
    return b"%012d %s" % (number, (b"%08x" % (number * 2654435761 & 0xffffffff)) * 11)


def number_of(text):
    try:
        return int(text[:12])
    except ValueError:
        return -1


def connect_file(rmq, count, folder, rng, table, plan):
    """file -> FileStreamSource -> RocketMQ -> FileStreamSink -> file"""
    folder.mkdir()
    source, out = folder / "in.txt", folder / "out.txt"
    with open(source, "wb", buffering=1 << 20) as file:
        for number in range(count):
            file.write(line(number) + b"\n")
    topic = rmq.create_topic("FILE", queues=4)
    stored, written = kit.Numbers(count, line), kit.Numbers(count, line)
    reader = kit.Topic(rmq, topic, lambda m: stored.take(number_of(m.body), m.body))
    # A kill may leave half a line, behind which the next one stands: then that is what counts.
    tail = kit.File(out, lambda text: written.take(number_of(text[-len(line(0)):]),
                                                   text[-len(line(0)):]))

    def done():
        tail.poll()
        return not written.lost
    with kit.Trial(rmq, folder, {"connect-file": kit.jars("connect-file")}, rng, plan) as trial:
        trial.worker.create("in", connector__class=FILE_SOURCE, file=source, topic=topic,
                            value__converter=kit.STRING)
        trial.worker.create("out", connector__class=FILE_SINK, file=out, connect__topicnames=topic,
                            value__converter=kit.STRING)
        took = trial.drive(lambda: written.share, done)
    reader.poll()
    table.moved("connect-file source 3.9.1", trial, took, stored)
    table.moved("connect-file sink 3.9.1", trial, took, written)


def own(rmq, count, folder, rng, table, plan):
    """TickSource -> UpperTransform -> ReverseConverter -> RocketMQ -> LineSink"""
    folder.mkdir()
    out = folder / "out.txt"
    topic = rmq.create_topic("OWN", queues=4)

    def text(number):
        return b"TICK %d" % (number + 1)
    stored, written = kit.Numbers(count, text), kit.Numbers(count, text)

    def take(to, body):
        word, _, number = body.rpartition(b" ")
        # A kill may leave half a line in the file, and the next one stands behind it.
        to.take(int(number) - 1 if number.isdigit() else -1, word[-4:] + b" " + number)
    reader = kit.Topic(rmq, topic, lambda m: take(stored, m.body[1:][::-1]))
    tail = kit.File(out, lambda data: take(written, data))
    reverse = {"value__converter": OWN + "ReverseConverter", "value__converter__mark": "~"}

    def done():
        tail.poll()
        return not written.lost
    _, example = kit.build_hosts()
    jar = next(example.glob("example-connectors-*.jar"))
    with kit.Trial(rmq, folder, {jar.name: jar}, rng, plan) as trial:
        trial.worker.create("in", connector__class=OWN + "TickSource", count=count,
                            connect__topicname=topic, transforms="up",
                            transforms__up__class=OWN + "UpperTransform", **reverse)
        trial.worker.create("out", connector__class=OWN + "LineSink", file=out,
                            connect__topicnames=topic, **reverse)
        took = trial.drive(lambda: written.share, done)
    reader.poll()
    table.moved("own source, transform and converter", trial, took, stored)
    table.moved("own converter and sink", trial, took, written)
