# SPDX-License-Identifier: Apache-2.0
"""Reads what brokers have stored, over plain sockets: a checker that shares nothing with our client.

    for message in stored.messages(rmq, "T"): ...        of every queue, in order of offsets
    stored.read(rmq, "T", take)                          the same, take(message) for each
    stored.read(rmq, "T", take, since)                   only what came after the last such call:
                                                         since is a dictionary, empty at first

Pulls of all queues of a broker are under way at once. Sends no signature and speaks no TLS.
"""
import collections
import json
import socket
import struct
import time
import zlib

import cluster

Message = collections.namedtuple("Message", "broker queue offset flag body properties born stored")

HEAD = struct.Struct(">iiIiiqqiq")  # size, magic, crc, queue, flag, offset, place, sysflag, born
COMPRESSED, V6_BORN, V6_STORE = 1, 0x10, 0x20
MAGIC_2 = -626843477 + 4  # its topic has two bytes of length


def properties(raw):
    """Properties of a message as a dictionary of bytes."""
    found = {}
    for pair in raw.split(b"\x02"):
        name, mark, value = pair.partition(b"\x01")
        if mark:
            found[name] = value
    return found


def _parse(data, broker, from_offset, take):
    """Hands on the messages of a reply's body. A pull may begin inside a stored batch."""
    at, end = 0, len(data)
    while at < end:
        size, magic, crc, queue, flag, offset, _, sysflag, born = HEAD.unpack_from(data, at)
        p = at + HEAD.size + (20 if sysflag & V6_BORN else 8)
        stored = struct.unpack_from(">q", data, p)[0]
        p += 8 + (20 if sysflag & V6_STORE else 8) + 4 + 8
        length = struct.unpack_from(">i", data, p)[0]
        p += 4
        body = data[p:p + length]
        p += length
        if zlib.crc32(body) & 0x7FFFFFFF != crc:
            raise cluster.Trouble(f"{broker}, queue {queue}, offset {offset}: CRC of the body")
        if sysflag & COMPRESSED:
            body = zlib.decompress(body)
        if magic == MAGIC_2:
            p += 2 + struct.unpack_from(">h", data, p)[0]
        else:
            p += 1 + data[p]
        length = struct.unpack_from(">H", data, p)[0]
        if offset >= from_offset:
            take(Message(broker, queue, offset, flag, body, data[p + 2:p + 2 + length], born,
                         stored))
        at += size


class _Broker:
    """The connection to one broker, with one pull per queue under way."""

    def __init__(self, name, port, topic, queues, take, since):
        self.name, self.topic, self.take, self.since = name, topic, take, since
        self.socket = socket.create_connection(("127.0.0.1", port), 30)
        self.file = self.socket.makefile("rb", buffering=1 << 20)
        self.left = {}
        self.bname = name
        for queue in queues:
            low, high = (int(self._call(code, queue)["offset"]) for code in (31, 30))
            low = max(low, since.get((name, queue), 0))
            if low < high:
                self.left[queue] = [low, high]

    def _frame(self, code, opaque, fields):
        header = json.dumps({"code": code, "language": "CPP", "version": 513, "opaque": opaque,
                             "flag": 0, "extFields": {k: str(v) for k, v in fields.items()}}).encode()
        return struct.pack(">II", 4 + len(header), len(header)) + header

    def _reply(self):
        total, length = struct.unpack(">II", cluster._read(self.file, 8))
        rest = cluster._read(self.file, total - 4)
        size = length & 0xFFFFFF
        return cluster._header(rest[:size], length >> 24), rest[size:]

    def _call(self, code, queue):
        self.socket.sendall(self._frame(code, 0, {"topic": self.topic, "queueId": queue}))
        header, _ = self._reply()
        if header["code"]:
            raise cluster.Trouble(f"request {code} to {self.name}: {header}")
        return header["extFields"]

    def _pull(self, queue):
        self.socket.sendall(self._frame(11, queue, {
            "consumerGroup": "CHECKER", "topic": self.topic, "queueId": queue,
            "queueOffset": self.left[queue][0], "maxMsgNums": 1024, "sysFlag": 4,
            "commitOffset": 0, "suspendTimeoutMillis": 1000, "subscription": "*", "subVersion": 0,
            "maxMsgBytes": 1 << 20, "bname": self.bname}))

    def run(self):
        for queue in self.left:
            self._pull(queue)
        while self.left:
            header, body = self._reply()
            queue = header["opaque"]
            at, end = self.left[queue]
            if header["code"] == 0:
                _parse(body, self.name, at, self.take)
            elif header["code"] in (19, 20):
                time.sleep(0.01)
            else:
                raise cluster.Trouble(f"a pull of queue {queue} of {self.name} at {at}: {header}")
            self.left[queue][0] = at = max(at, int(header["extFields"]["nextBeginOffset"]))
            if at < end:
                self._pull(queue)
            else:
                self.since[self.name, queue] = at
                del self.left[queue]

    def close(self):
        self.file.close()
        self.socket.close()


def read(rmq, topic, take, since=None):
    """take(message) for all that is stored now; messages of a queue come in order."""
    since = {} if since is None else since
    for data in rmq.route(topic):
        name = data["brokerName"]
        port = rmq.broker_port("broker-" + name.rsplit("-", 1)[1])
        broker = _Broker(name, port, topic, range(data["readQueueNums"]), take, since)
        try:
            broker.run()
        finally:
            broker.close()


def messages(rmq, topic):
    found = []
    read(rmq, topic, found.append)
    return sorted(found, key=lambda m: m[:3])
