# SPDX-License-Identifier: Apache-2.0
"""The worker's end of the connector host protocol, for tests of hosts; from docs/host-protocol.md
alone. A Host is a process that was started with its socket; frames it sends by itself are kept in
`came`, what it prints in `said`."""
import os
import queue
import socket
import struct
import subprocess
import tempfile
import threading
import time

HELLO, WELCOME, ERROR, PING, LOG, METRICS, SHUTDOWN = range(1, 8)
SCAN, VALIDATE = 0x10, 0x12
CONNECTOR_START, TASK_CONFIGS, TASK_START, COMPONENT_START, STOP = 0x20, 0x21, 0x22, 0x23, 0x24
RECONFIGURE, RAISE_ERROR, SCHEMAS = 0x25, 0x26, 0x27
CREDIT, BATCH, ACK, COMMIT, OFFSET_READ, FINISHED = range(0x30, 0x36)
OPEN, CLOSE, PUT, PRECOMMIT, PAUSE, RESUME, RESET_OFFSET, REPORT = range(0x40, 0x48)
APPLY, TO_BYTES, TO_VALUES = 0x50, 0x51, 0x52
OPTIONAL, REPLY = 1, 2
SOURCE, SINK, TRANSFORM, PREDICATE, CONVERTER = range(1, 6)
PATIENCE = float(os.environ.get("RC_PATIENCE", "30"))


def num(fmt, value):
    return struct.pack("<" + fmt, value)


def text(value):
    raw = value.encode() if isinstance(value, str) else value
    return num("I", len(raw)) + raw


def kv(pairs):
    return num("I", len(pairs)) + b"".join(text(k) + text(str(v)) for k, v in pairs.items())


def value(v):
    if v is None:
        return b"\0"
    if isinstance(v, bool):
        return b"\x07" + num("?", v)
    if isinstance(v, int):
        return b"\x04" + num("q", v)
    if isinstance(v, float):
        return b"\x06" + num("d", v)
    if isinstance(v, str):
        return b"\x08" + text(v)
    if isinstance(v, bytes):
        return b"\x09" + text(v)
    if isinstance(v, list):
        return b"\x0a" + num("I", len(v)) + b"".join(map(value, v))
    if isinstance(v, dict):
        return b"\x0b" + plain_map(v)
    raise TypeError(v)


def plain_map(v):
    return num("I", len(v)) + b"".join(value(k) + value(x) for k, x in v.items())


class Failed(Exception):
    """An ERROR that the host answered."""

    def __init__(self, error):
        super().__init__(error["message"])
        self.error = error


class Reader:
    def __init__(self, raw, schemas=None):
        self.raw, self.at, self.schemas = raw, 0, {} if schemas is None else schemas

    def num(self, fmt):
        size = struct.calcsize("<" + fmt)
        got = struct.unpack_from("<" + fmt, self.raw, self.at)[0]
        self.at += size
        return got

    def bytes(self):
        size = self.num("I")
        if size == 0xffffffff:
            return None
        assert self.at + size <= len(self.raw)
        self.at += size
        return self.raw[self.at - size:self.at]

    def text(self):
        raw = self.bytes()
        return None if raw is None else raw.decode()

    def kv(self):
        return {self.text(): self.text() for _ in range(self.num("I"))}

    def part(self):
        return Reader(self.bytes(), self.schemas)

    def map(self):
        return {self.value(): self.value() for _ in range(self.num("I"))}

    def value(self):
        tag = self.num("B")
        if tag == 0:
            return None
        if tag in (8, 14):
            return self.text()
        if tag == 9:
            return self.bytes()
        if tag == 10:
            return [self.value() for _ in range(self.num("I"))]
        if tag == 11:
            return self.map()
        if tag == 13:
            schema = self.schemas[self.num("I")]
            return {name: self.value() for name, _ in schema["fields"]}
        return self.num({1: "b", 2: "h", 3: "i", 4: "q", 5: "f", 6: "d", 7: "?", 12: "q"}[tag])

    def define(self):
        """SCHEMAS."""
        for _ in range(self.num("I")):
            p = self.part()
            one = {"id": p.num("I"), "type": p.num("B"), "bits": p.num("B"), "version": p.num("i"),
                   "name": p.text(), "doc": p.text(), "parameters": p.kv(),
                   "fields": [(p.text(), p.num("I")) for _ in range(p.num("I"))],
                   "key": p.num("I"), "value": p.num("I")}
            for _, part in one["fields"]:
                assert part in self.schemas, f"field of an unknown schema: {one}"
            self.schemas[one["id"]] = one

    def records(self):
        maps, texts = [], []
        return [self.record(maps, texts) for _ in range(self.num("I"))]

    def reference(self, seen, read):
        number = self.num("I")
        assert number <= len(seen)
        if number == len(seen):
            seen.append(read())
        return seen[number]

    def record(self, maps, texts):
        bits, r = self.num("H"), {}

        def take(bit, name, read):
            if bits & bit:
                r[name] = read()
        take(0x1, "timestamp", lambda: self.num("q"))
        take(0x2, "key_schema", lambda: self.schemas[self.num("I")])
        take(0x4, "schema", lambda: self.schemas[self.num("I")])
        take(0x8, "key", self.value)
        take(0x10, "value", self.value)
        take(0x20, "partition", lambda: self.reference(maps, self.map))
        take(0x40, "offset", lambda: self.reference(maps, self.map))
        take(0x80, "counter", lambda: (self.reference(texts, self.text), self.num("q")))
        take(0x100, "extensions", self.kv)
        take(0x200, "properties", self.kv)
        take(0x400, "topic", lambda: self.reference(texts, self.text))
        take(0x800, "queue", lambda: self.num("i"))
        take(0x1000, "flag", lambda: self.num("i"))
        take(0x2000, "born", lambda: self.num("q"))
        if "counter" in r:
            r["offset"] = {**r.get("offset", {}), r["counter"][0]: r["counter"][1]}
        return r

    def error(self):
        return {"code": self.num("H"), "flags": self.num("H"), "index": self.num("q"),
                "class": self.text(), "message": self.text(), "stack": self.text()}

    def queue(self):
        return self.text(), self.text(), self.num("i")

    def queue_offsets(self):
        return [(self.queue(), self.num("q"), self.map() if self.num("B") else None)
                for _ in range(self.num("I"))]

    def plugin(self):
        p = self.part()
        got = {"kind": p.num("B"), "flags": p.num("I"), "class": p.text(), "location": p.text(),
               "version": p.text(), "doc": p.text(), "options": {}}
        for _ in range(p.num("I")):
            o = p.part()
            name = o.text()
            got["options"][name] = {
                "type": o.num("B"), "flags": o.num("I"), "default": o.text(), "doc": o.text(),
                "least": o.num("q"), "most": o.num("q"), "choices": o.text(), "group": o.text(),
                "importance": o.num("B")}
        return got


class Frame:
    def __init__(self, kind, flags, instance, request, payload):
        self.type, self.flags, self.instance, self.request = kind, flags, instance, request
        self.payload = payload

    def __repr__(self):
        return f"<frame {self.type:02x} of {self.instance}, {len(self.payload)} bytes>"


class Host:
    def __init__(self, command, level=0):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            command, stdin=theirs, stdout=self.log, stderr=subprocess.STDOUT,
            env={**os.environ, "CHP_VERSION": "1", "CHP_SESSION": "s1"}, process_group=0)
        theirs.close()
        self.sock, self.requests, self.replies = ours, 0, {}
        self.came = queue.Queue()
        self.logs, self.schemas, self.kept = [], {}, []
        self.cond = threading.Condition()
        self.ended = False
        self.hello = self.read_hello()
        self.send(WELCOME, num("H", 1) + num("Q", self.hello["capabilities"]) + num("I", 16 << 20) +
                  num("I", 1000) + num("B", level) + text("s1") + text("w") + text("0") + kv({}))
        threading.Thread(target=self.read_all, daemon=True).start()

    # ---- bytes ----

    def fill(self, size):
        raw = b""
        while len(raw) < size:
            got = self.sock.recv(size - len(raw))
            if not got:
                raise EOFError
            raw += got
        return raw

    def read(self):
        length, kind, flags, instance, request = struct.unpack("<IBBHI", self.fill(12))
        assert length <= 16 << 20
        return Frame(kind, flags, instance, request, self.fill(length))

    def read_hello(self):
        f = self.read()
        r = Reader(f.payload)
        assert f.type == HELLO and r.num("I") == 0x31504843
        return {"versions": (r.num("H"), r.num("H")), "pid": r.num("I"), "capabilities": r.num("Q"),
                "max_frame": r.num("I"), "name": r.text(), "version": r.text(),
                "language": r.text(), "more": r.kv()}

    def read_all(self):
        try:
            while True:
                f = self.read()
                if f.flags & REPLY:
                    with self.cond:
                        self.replies[f.request] = f
                        self.cond.notify_all()
                elif f.type == LOG:
                    r = Reader(f.payload)
                    self.logs.append((r.num("B"), r.num("q"), r.text(), r.text(), r.text()))
                elif f.type == SCHEMAS:
                    Reader(f.payload, self.schemas.setdefault(f.instance, {})).define()
                else:
                    self.came.put(f)
        except (EOFError, OSError):
            with self.cond:
                self.ended = True
                self.cond.notify_all()

    def send(self, kind, payload=b"", instance=0, request=0, flags=0):
        self.sock.sendall(struct.pack("<IBBHI", len(payload), kind, flags, instance, request) +
                          payload)

    # ---- requests ----

    def ask(self, kind, payload=b"", instance=0):
        """Sends a request. @return its number, for answer()."""
        self.requests += 1
        self.send(kind, payload, instance, self.requests)
        return self.requests

    def answer(self, request, seconds=None):
        with self.cond:
            self.cond.wait_for(lambda: request in self.replies or self.ended, seconds or PATIENCE)
            if request not in self.replies:
                raise EOFError if self.ended else TimeoutError
            f = self.replies.pop(request)
        r = Reader(f.payload, self.schemas.get(f.instance))
        if f.type == ERROR:
            r.num("B")
            raise Failed(r.error())
        return r

    def call(self, kind, payload=b"", instance=0, seconds=None):
        return self.answer(self.ask(kind, payload, instance), seconds)

    def next(self, kind, instance, seconds=None):
        """The next frame of this type of an instance; the others are kept."""
        end = time.monotonic() + (seconds or PATIENCE)
        while True:
            for f in self.kept:
                if f.type == kind and f.instance == instance:
                    self.kept.remove(f)
                    return frame_reader(f, self.schemas.get(instance))
            self.kept.append(self.came.get(timeout=max(0.01, end - time.monotonic())))

    def start(self, kind, which, class_name, location, config, instance, connector=0, name="c",
              task="", is_key=False, records=1000, size=1 << 20):
        return self.call(kind, num("B", which) + text(class_name) + text(location) + text(name) +
                         kv(config) + num("H", connector) + text(task) + num("I", 0) + num("I", 1) +
                         num("?", is_key) + num("I", records) + num("I", size) + num("I", 1),
                         instance)

    def stop(self, instance, ms=30000):
        return self.call(STOP, num("I", ms), instance)

    def ping(self):
        r = self.call(PING, num("Q", 77))
        assert r.num("Q") == 77
        heap = r.num("Q"), r.num("Q")
        parts = [r.part() for _ in range(r.num("I"))]
        return heap, [(p.num("H"), p.num("I"), p.text()) for p in parts]

    # ---- records ----

    def credit(self, instance, records=1000, size=1 << 20):
        self.send(CREDIT, num("Q", records) + num("Q", size), instance)

    def batch(self, instance, seconds=None):
        """The next BATCH, whose credit is given back. @return (first seq, records)"""
        r = self.next(BATCH, instance, seconds)
        first, records = r.num("Q"), r.records()
        self.credit(instance, len(records), len(r.raw))
        return first, records

    def ack(self, instance, first, count, topic="t", offset=0, status=0):
        run = num("I", count) + num("B", status) + num("B", 0)
        if status == 0:
            run += num("I", 0) + text(topic) + num("I", 1) + text("") + num("i", 0) + num("q", offset)
        self.send(ACK, num("Q", first) + num("I", 1) + run, instance)

    # ---- the end ----

    @property
    def said(self):
        # The host writes where this file stands: reading must not move that.
        return os.pread(self.log.fileno(), 64 << 20, 0).decode(errors="replace")

    def wait(self, seconds=None):
        return self.process.wait(seconds or PATIENCE)

    def close(self):
        self.sock.close()
        if self.process.poll() is None:
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def frame_reader(frame, schemas):
    r = Reader(frame.payload, schemas)
    r.frame = frame
    return r


def queue_offsets(*given):
    """(topic, broker, number, offset) each."""
    return num("I", len(given)) + b"".join(
        text(t) + text(b) + num("i", n) + num("q", o) + num("?", False) for t, b, n, o in given)


def put(number, records):
    """Records (topic, queue, offset, value) of the embedded log, or with a broker as fifth."""
    out, maps = num("Q", number) + num("I", len(records)), []
    first = True
    for topic, number, offset, data, *broker in records:
        where = (topic, broker[0] if broker else "", number)
        out += num("H", 0x1 | 0x10 | 0x20 | 0x80 | 0x100) + num("q", 5000) + value(data)
        if where not in maps:
            maps.append(where)
            out += num("I", len(maps) - 1) + plain_map(
                {"topic": where[0], "brokerName": where[1], "queueId": str(where[2])})
        else:
            out += num("I", maps.index(where))
        out += num("I", 0) + (text("queueOffset") if first else b"") + num("q", offset)
        out += kv({"KEYS": "k"})
        first = False
    return out
