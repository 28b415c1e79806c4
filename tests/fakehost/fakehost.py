#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A connector host for tests, written from docs/host-protocol.md alone, with faults on demand.

Its source `fake.Source` gives `count` records "<prefix>1" ..., at most `rate` a poll; its sink
`fake.Sink` appends values to `file`. Key `fault` of a connector says what goes wrong, `fault.at`
after which record, `fault.once` = a file that, once there, keeps the fault from happening again.

Faults of the process: exit, segv, deaf (no PONG), flood (endless lines), hog (192 MiB), silent (a call
that does not return: start, put, poll, stop by `fault.call`). Faults of the protocol, by the names
of the document: frame-too-long, unknown-schema, credit-exceeded, unexpected-reply, too-deep,
truncated, wrong-sequence, unknown-frame, unknown-instance, wrong-kind, bad-reference; greedy (a batch
before any credit).
Its transform `fake.Suffix` appends `suffix`, drops the value `drop` and refuses the value `refuse`;
its predicate `fake.Is` matches the value `value`; its converter `fake.Shout` writes capitals.
Started with a word, it goes wrong before any connector: no-hello, mute, old.
"""
import os
import signal
import socket
import struct
import sys
import threading
import time

HELLO, WELCOME, ERROR, PING, LOG, METRICS, SHUTDOWN = 1, 2, 3, 4, 5, 6, 7
SCAN, VALIDATE = 0x10, 0x12
CONNECTOR_START, TASK_CONFIGS, TASK_START, COMPONENT_START = 0x20, 0x21, 0x22, 0x23
STOP, RECONFIGURE, SCHEMAS = 0x24, 0x25, 0x27
APPLY, TO_BYTES, TO_VALUES = 0x50, 0x51, 0x52
CREDIT, BATCH, ACK, COMMIT, OFFSET_READ, FINISHED = 0x30, 0x31, 0x32, 0x33, 0x34, 0x35
OPEN, CLOSE, PUT, PRECOMMIT, REPORT, RETRY_AFTER = 0x40, 0x41, 0x42, 0x43, 0x47, 0x49
REPLY, OPTIONAL = 2, 1


def num(fmt, value):
    return struct.pack("<" + fmt, value)


def text(value):
    raw = value.encode() if isinstance(value, str) else value
    return num("I", len(raw)) + raw


def pairs(kv):
    return num("I", len(kv)) + b"".join(text(k) + text(v) for k, v in kv.items())


def string(value):
    return b"\x08" + text(value)


def plain_map(kv):
    """A map of texts and whole numbers."""
    return num("I", len(kv)) + b"".join(
        string(k) + (string(v) if isinstance(v, str) else b"\x04" + num("q", v))
        for k, v in kv.items())


def problem(code, flags, message):
    return num("H", code) + num("H", flags) + num("q", -1) + text("Fake") + text(message) + text("")


class Reader:
    def __init__(self, raw):
        self.raw, self.at = raw, 0

    def num(self, fmt):
        size = struct.calcsize(fmt)
        value = struct.unpack("<" + fmt, self.raw[self.at:self.at + size])[0]
        self.at += size
        return value

    def bytes(self):
        size = self.num("I")
        if size == 0xffffffff:
            return None
        value = self.raw[self.at:self.at + size]
        self.at += size
        return value

    def text(self):
        return self.bytes().decode()

    def pairs(self):
        return {self.text(): self.text() for _ in range(self.num("I"))}

    def map(self):
        return {self.value(): self.value() for _ in range(self.num("I"))}

    def value(self):
        tag = self.num("B")
        kind = tag & 0x7f
        if kind in (8, 14):
            value = self.text()
        elif kind == 9:
            value = self.bytes()
        elif kind == 10:
            value = [self.value() for _ in range(self.num("I"))]
        elif kind == 11:
            value = self.map()
        elif kind == 0:
            value = None
        else:
            value = self.num({1: "b", 2: "h", 3: "i", 4: "q", 5: "f", 6: "d", 7: "?", 12: "q"}[kind])
        if tag & 0x80:
            self.text()
        return value

    def records(self):
        maps, texts, out = [], [], []
        self.spans = []  # where the values are

        def ref(known, read):
            number = self.num("I")
            if number == len(known):
                known.append(read())
            return known[number]

        for _ in range(self.num("I")):
            fields, value = self.num("H"), None
            for bit, read in ((0x1, lambda: self.num("q")), (0x2, lambda: self.num("I")),
                              (0x4, lambda: self.num("I")), (0x8, self.value), (0x10, self.value),
                              (0x20, lambda: ref(maps, self.map)), (0x40, lambda: ref(maps, self.map)),
                              (0x80, lambda: (ref(texts, self.text), self.num("q"))),
                              (0x100, self.pairs), (0x200, self.pairs),
                              (0x400, lambda: ref(texts, self.text)), (0x800, lambda: self.num("i")),
                              (0x1000, lambda: self.num("i")), (0x2000, lambda: self.num("q"))):
                if fields & bit:
                    start = self.at
                    got = read()
                    if bit == 0x10:
                        value = got
                        self.spans.append((start, self.at))
            out.append(value)
        return out

    def queue_offsets(self):
        out = []
        for _ in range(self.num("I")):
            queue = (self.text(), self.text(), self.num("i"))
            out.append((queue, self.num("q"), self.map() if self.num("B") else None))
        return out


class Wire:
    def __init__(self):
        self.sock = socket.socket(fileno=os.dup(0))
        self.lock = threading.Lock()

    def send(self, kind, instance=0, request=0, payload=b"", flags=0):
        with self.lock:
            self.sock.sendall(struct.pack("<IBBHI", len(payload), kind, flags, instance, request) + payload)

    def receive(self):
        head = self.exactly(12)
        length, kind, flags, instance, request = struct.unpack("<IBBHI", head)
        return kind, flags, instance, request, self.exactly(length)

    def exactly(self, size):
        data = b""
        while len(data) < size:
            part = self.sock.recv(size - len(data))
            if not part:
                os._exit(0)  # the worker is gone
            data += part
        return data


class Instance(threading.Thread):
    """One connector or task, on a thread of its own."""

    def __init__(self, wire, number, kind, request, payload):
        super().__init__(daemon=True)
        self.wire, self.number, self.start_kind, self.request = wire, number, kind, request
        self.frames, self.cond, self.stop_request = [], threading.Condition(), None
        self.call, self.since = None, 0
        r = Reader(payload)
        self.kind, self.cls, _, self.connector, self.config = \
            r.num("B"), r.text(), r.text(), r.text(), r.pairs()
        r.num("H"), r.text()
        self.task_id = r.num("I")
        r.num("I"), r.num("?")
        self.records_max, self.bytes_max = r.num("I"), r.num("I")
        self.last_request = 0

    # ---- frames ----
    def push(self, frame):
        with self.cond:
            if frame[0] == STOP:
                self.stop_request = frame[3]
            self.frames.append(frame)
            self.cond.notify_all()

    def next(self, wait=True):
        with self.cond:
            while wait and not self.frames:
                self.cond.wait()
            return self.frames.pop(0) if self.frames else None

    def ask(self, kind, payload):
        """A request of ours; None when STOP came instead."""
        self.last_request += 1
        self.wire.send(kind, self.number, self.last_request, payload)
        with self.cond:
            while True:
                for frame in self.frames:
                    if frame[1] & REPLY and frame[3] == self.last_request:
                        self.frames.remove(frame)
                        return frame
                if self.stop_request is not None:
                    return None
                self.cond.wait()

    def reply(self, kind, request, payload=b""):
        self.wire.send(kind, self.number, request, payload, REPLY)

    def fail(self, request, code, flags, message):
        self.wire.send(ERROR, self.number, request, b"\0" + problem(code, flags, message), REPLY)

    # ---- faults ----
    def fault(self, *names):
        """The fault that is due among these; each once when `fault.once` names a file."""
        fault = self.config.get("fault", "")
        once = self.config.get("fault.once")
        if fault not in names or (once and os.path.exists(once)):
            return ""
        if once:
            open(once, "w").close()
        return fault

    def silent(self, call):
        self.call, self.since = call, time.monotonic()
        if self.config.get("fault.call") == call and self.fault("silent"):
            threading.Event().wait()
        if call == self.config.get("fault.call", "start"):
            self.crash()

    def crash(self):
        fault = self.fault("exit", "segv", "deaf", "flood", "hog")
        if fault == "exit":
            sys.stderr.write("going away\n")
            sys.stderr.flush()
            os._exit(7)
        elif fault == "segv":
            os.kill(os.getpid(), signal.SIGSEGV)
        elif fault == "deaf":
            Host.deaf = True
        elif fault == "hog":
            Host.hoard = b"x" * (192 << 20)
        elif fault == "flood":
            threading.Thread(target=flood, daemon=True).start()

    # ---- life ----
    def run(self):
        if self.start_kind == CONNECTOR_START:
            self.connector_main()
        elif self.kind == 1:
            self.source_main()
        elif self.kind == 2:
            self.sink_main()
        else:
            self.component_main()
        if self.config.get("fault.call") == "stop":
            self.silent("stop")
        with Host.lock:
            del Host.instances[self.number]
        self.reply(STOP, self.stop_request)

    def connector_main(self):
        if "start.error" in self.config:
            self.fail(self.request, 1, 2, self.config["start.error"])
        else:
            self.reply(CONNECTOR_START, self.request)
        while True:
            kind, _, _, request, payload = self.next()
            if kind == STOP:
                return
            if kind == TASK_CONFIGS:
                count = min(Reader(payload).num("I"), int(self.config.get("tasks", "1")))
                self.reply(TASK_CONFIGS, request, num("I", count) + b"".join(
                    pairs({"number": str(i)}) for i in range(count)))

    def source_main(self):
        partition = {"source": "fake", "task": str(self.task_id)}
        self.silent("start")
        answer = self.ask(OFFSET_READ, num("I", 1) + plain_map(partition))
        last = 0
        if answer:
            r = Reader(answer[4])
            r.num("I")
            last = int(r.map()["last"]) if r.num("B") else 0
        self.reply(TASK_START, self.request)
        self.records = self.credit = 0
        self.seq, self.acked, self.held, ended = 1, 0, False, False
        if self.fault("greedy"):
            self.send_batch(self.record(partition, 1, True), 1)
        count, rate = int(self.config.get("count", "10")), int(self.config.get("rate", "100"))
        while self.stop_request is None:
            ready = self.records > 0 and self.credit > 0 and not self.held and not ended
            frame = self.next(wait=not ready)
            if frame:
                self.take(frame)
                continue
            last = self.poll(partition, last, min(count, last + rate))
            if last == count and self.config.get("bounded", "true") == "true":
                ended = True
                self.wire.send(FINISHED, self.number)
            elif last == count:
                ended = True

    def take(self, frame):
        r = Reader(frame[4])
        if frame[0] == CREDIT:
            self.records += r.num("Q")
            self.credit += r.num("Q")
            self.held = False
        elif frame[0] == ACK:
            assert r.num("Q") == self.acked + 1, "ACK with a gap"
            self.acked += sum(self.run_length(r) for _ in range(r.num("I")))
            self.wire.send(METRICS, self.number, 0, num("I", 1) + text("acked") + num("q", 1), OPTIONAL)

    @staticmethod
    def run_length(r):
        count, status, bits = r.num("I"), r.num("B"), r.num("B")
        if status == 0:
            for _ in range(2):
                if r.num("I") >= getattr(r, "texts", 0):
                    r.texts = getattr(r, "texts", 0) + 1
                    r.text()
            r.num("i"), r.num("q")
        for _ in range(count if bits & 1 else 0):
            r.text()
        return count

    def poll(self, partition, last, until):
        self.call, self.since = "poll", time.monotonic()
        at = int(self.config.get("fault.at", "0"))
        if "poll.error" in self.config and last >= at and self.fault("error"):
            self.wire.send(ERROR, self.number, 0, b"\1" + problem(
                8, 1 if self.config["poll.error"] == "retriable" else 0, "the source is away"))
            self.held = True
            return last
        if last >= at:
            if self.config.get("fault.call") == "poll":
                self.silent("poll")
            self.protocol_fault(partition, last)
        until = min(until, last + self.records_max)
        records = b"".join(self.record(partition, n, n == last + 1) for n in range(last + 1, until + 1))
        if until > last:
            self.send_batch(records, until - last)
        self.call = None
        return until

    def record(self, partition, n, first):
        return num("H", 0x10 | 0x20 | 0x80) + string(self.config.get("prefix", "r") + str(n)) + \
            num("I", 0) + (plain_map(partition) if first else b"") + \
            num("I", 0) + (text("last") if first else b"") + num("q", n)

    def send_batch(self, records, count):
        payload = num("Q", self.seq) + num("I", count) + records
        self.wire.send(BATCH, self.number, 0, payload)
        self.seq += count
        self.records -= count
        self.credit -= len(payload)

    def protocol_fault(self, partition, last):
        one = self.record(partition, last + 1, True)
        head = num("Q", self.seq) + num("I", 1)
        fault = self.fault("frame-too-long", "unknown-schema", "credit-exceeded", "unexpected-reply",
                           "too-deep", "truncated", "wrong-sequence", "unknown-frame",
                           "unknown-instance", "wrong-kind", "bad-reference")
        if fault == "frame-too-long":
            self.wire.sock.sendall(struct.pack("<IBBHI", 1 << 30, BATCH, 0, self.number, 0))
        elif fault == "unknown-schema":
            self.wire.send(BATCH, self.number, 0, head + num("H", 0x14) + num("I", 77) + string("x"))
        elif fault == "credit-exceeded":
            self.send_batch(self.record(partition, last, True) +
                            self.record(partition, last, False) * self.records_max,
                            self.records_max + 1)
        elif fault == "unexpected-reply":
            self.wire.send(OPEN, self.number, 4711, b"", REPLY)
        elif fault == "too-deep":
            self.wire.send(BATCH, self.number, 0, head + num("H", 0x10) +
                           (b"\x0a" + num("I", 1)) * 100 + b"\0")
        elif fault == "truncated":
            self.wire.send(BATCH, self.number, 0, head + one[:-3])
        elif fault == "wrong-sequence":
            self.wire.send(BATCH, self.number, 0, num("Q", self.seq + 5) + num("I", 1) + one)
        elif fault == "unknown-frame":
            self.wire.send(0x7e, self.number)
        elif fault == "unknown-instance":
            self.wire.send(BATCH, 999, 0, head + one)
        elif fault == "wrong-kind":
            self.wire.send(REPORT, self.number, 1, b"")
        elif fault == "bad-reference":
            self.wire.send(BATCH, self.number, 0, head + num("H", 0x30) + string("x") + num("I", 5))
        if fault:
            time.sleep(3600)

    def sink_main(self):
        self.silent("start")
        self.reply(TASK_START, self.request)
        out = open(self.config["file"], "ab")
        put_records, expected = 0, 1
        while True:
            kind, _, _, request, payload = self.next()
            r = Reader(payload)
            if kind == STOP:
                return
            if kind == PUT:
                number = r.num("Q")
                assert number == expected, f"put {number} instead of {expected}"
                values = r.records()
                if put_records >= int(self.config.get("fault.at", "0")):
                    self.silent("put")
                    if self.fault("retriable"):
                        self.wire.send(RETRY_AFTER, self.number, 0, num("Q", 1))
                        self.fail(request, 8, 1, "the target is away")
                        continue
                values = self.report(number, values)
                out.write(b"".join(v.encode() + b"\n" for v in values))
                put_records += len(values)
                expected += 1
                self.call = None
                self.reply(PUT, request)
            elif kind == PRECOMMIT:
                out.flush()
                os.fsync(out.fileno())
                self.reply(PRECOMMIT, request, payload)
            elif kind in (OPEN, CLOSE):
                self.reply(kind, request)

    def component_main(self):
        if "start.error" in self.config:
            self.fail(self.request, 1, 2, self.config["start.error"])
        else:
            self.reply(COMPONENT_START, self.request)
        while True:
            kind, _, _, request, payload = self.next()
            if kind == STOP:
                return
            if kind != SCHEMAS:
                self.silent("apply")
                answer = {APPLY: self.apply, TO_BYTES: self.to_bytes, TO_VALUES: self.to_values}[kind]
                self.reply(kind, request, num("I", 1) + answer(Reader(payload)))
                self.call = None

    def apply(self, r):
        (value,), (start, end) = r.records(), (r.spans + [(0, 0)])[0]
        if self.kind == 4:
            return num("B", int(value == self.config["value"]))
        if value == self.config.get("drop"):
            return num("B", 1)
        if value == self.config.get("refuse"):
            return num("B", 2) + problem(9, 0, "no suffix for " + value)
        return num("B", 0) + r.raw[4:start] + string(value + self.config["suffix"]) + r.raw[end:]

    def to_bytes(self, r):
        assert r.num("I") == 1
        r.text(), r.pairs(), r.num("I")
        value = r.value()
        return num("B", 0) + (num("I", 0xffffffff) if value is None else text(value.upper()))

    def to_values(self, r):
        assert r.num("I") == 1
        r.text(), r.pairs()
        raw = r.bytes()
        return num("B", 0) + num("I", 0) + (b"\0" if raw is None else string(raw.lower()))

    def report(self, number, values):
        """Refuses the records that `refuse` names; the others are written."""
        refuse, kept = self.config.get("refuse"), []
        for index, value in enumerate(values):
            if value != refuse:
                kept.append(value)
                continue
            answer = self.ask(REPORT, num("Q", number) + num("I", index) +
                              problem(9, 0, "does not like " + value))
            assert answer and answer[0] == REPORT, "the report was refused"
        return kept


def flood():
    line = b"x" * 1000 + b"\n"
    while True:
        os.write(1, line * 60)


PLUGINS = ((1, "fake.Source"), (2, "fake.Sink"), (3, "fake.Suffix"), (4, "fake.Is"), (5, "fake.Shout"))


class Host:
    lock, instances, deaf = threading.Lock(), {}, False

    def main(self, mode):
        wire = Wire()
        os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
        if mode == "mute":
            time.sleep(3600)
        if mode == "no-hello":
            wire.send(LOG, 0, 0, b"")
            time.sleep(3600)
        version = 9 if mode == "old" else 1
        wire.send(HELLO, 0, 0, b"CHP1" + num("H", version) + num("H", version) + num("I", os.getpid()) +
                  num("Q", 0x7f) + num("I", 16 << 20) + text("fakehost") + text("1") +
                  text("Python") + pairs({}))
        assert wire.receive()[0] == WELCOME
        while True:
            frame = wire.receive()
            kind, _, instance, request, payload = frame
            if kind == PING:
                if not Host.deaf:
                    self.pong(wire, request, payload)
            elif kind == SHUTDOWN:
                wire.send(SHUTDOWN, 0, request, b"", REPLY)
                os._exit(0)
            elif kind == SCAN:
                self.scan(wire, request, payload)
            elif kind == VALIDATE:
                self.validate(wire, request, payload)
            elif kind in (CONNECTOR_START, TASK_START, COMPONENT_START):
                self.begin(wire, frame)
            else:
                with Host.lock:
                    there = Host.instances.get(instance)
                if there:
                    there.push(frame)

    @staticmethod
    def begin(wire, frame):
        made = Instance(wire, frame[2], frame[0], frame[3], frame[4])
        with Host.lock:
            Host.instances[made.number] = made
        made.start()

    @staticmethod
    def pong(wire, request, payload):
        busy = b""
        count = 0
        with Host.lock:
            for number, i in Host.instances.items():
                if i.call:
                    part = num("H", number) + num("I", int((time.monotonic() - i.since) * 1000)) + text(i.call)
                    busy += num("I", len(part)) + part
                    count += 1
        wire.send(PING, 0, request, payload + num("Q", 0) + num("Q", 0) + num("I", count) + busy, REPLY)

    @staticmethod
    def scan(wire, request, payload):
        r = Reader(payload)
        paths = [r.text() for _ in range(r.num("I"))]
        found = b""
        for kind, cls in PLUGINS:
            part = num("B", kind) + num("I", 8 | (1 if kind == 1 else 0)) + text(cls) + text(paths[0]) + \
                text("1.0") + text("A " + cls) + num("I", 0)
            found += num("I", len(part)) + part
        wire.send(SCAN, 0, request, num("I", len(PLUGINS)) + found + num("I", 0), REPLY)

    @staticmethod
    def validate(wire, request, payload):
        r = Reader(payload)
        r.num("B"), r.text(), r.text()
        config = r.pairs()
        bad, name, found = config.get("bad"), r.text(), []
        if bad:
            found.append(("bad", bad, "is no good: " + bad))
        if config.get("named", name) != name:
            found.append(("named", config["named"], "the connector is " + name))
        problems = num("I", len(found)) + b"".join(b"\0" + b"".join(map(text, p)) for p in found)
        wire.send(VALIDATE, 0, request, problems, REPLY)


if __name__ == "__main__":
    Host().main(sys.argv[1] if len(sys.argv) > 1 else "")
