#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A TCP relay in front of RocketMQ that makes trouble on demand.

    relay.py [--seed N] [--record FILE] NAME=LISTEN:HOST:PORT[:names] ...

LISTEN is a port of loopback, 0 for any. A pair with ":names" stands before a name server: in its
replies every broker address is replaced by a relay for that broker, opened on the spot and named
after the address, so that a client which knows only the relayed name server goes through the relay
everywhere. First line on stdout: {"event": "ready", "ports": {NAME: port}}.

Commands come on stdin, one a line; each is answered by one line of JSON. "pair=NAME" restricts a
command to one pair (later brokers included when it is left out); end of input ends the relay.

    cut every=N               resets the connection of 1 in N packets, inside the packet
    swallow every=N [codes=310,320]   drops 1 in N replies of the server (to these requests)
    late every=N ms=M [codes=310,320]   takes 1 in N requests out and delivers it M ms later, over a
                              connection of its own; its reply goes to nobody
    huge every=N              in 1 of N replies the length says 1 GiB
    stray every=N             1 in N replies answers a request that nobody made
    delay ms=N                holds every packet back so long
    freeze                    forwards nothing and closes nothing: half-open
    thaw                      undoes freeze; what waited goes on
    reset                     resets all connections now
    down / up                 resets all connections and refuses new ones / accepts again
    clear                     no faults, thawed, up
    stats                     counts of bytes, connections, cuts, swallowed replies

Bytes of brokers pass unparsed until the first swallow, late, huge or stray, which resets the connections that have begun, as
only from its first byte on can a connection be cut into frames. TLS passes too, but replies inside
it cannot be changed or swallowed. --record writes every frame as it came from its sender:
u8 direction (0 to the server, 1 to the client), u32 length, the frame with its length word.
"""
import argparse
import asyncio
import collections
import json
import random
import re
import socket
import struct
import sys

ADDRESS = re.compile(rb'"(\d{1,3}(?:\.\d{1,3}){3}:\d{2,5})"')
LINGER_0 = struct.pack("ii", 1, 0)


def parse_header(frame):
    """(code, opaque, flag) of a frame whose header is complete, or None."""
    word = int.from_bytes(frame[4:8], "big")
    header = bytes(frame[8:8 + (word & 0xFFFFFF)])
    try:
        if word >> 24:
            code, _, _, opaque, flag = struct.unpack(">hbhii", header[:13])
            return code, opaque, flag
        fields = json.loads(header)
        return fields["code"], fields["opaque"], fields["flag"]
    except (ValueError, KeyError, struct.error):
        return None


def strayed(frame):
    """The reply with an opaque that no request has had."""
    start, size = 8, int.from_bytes(frame[4:8], "big") & 0xFFFFFF
    if frame[4]:  # binary: behind code, language and version
        return frame[:start + 5] + b"\x7f\xff\xff\xf0" + frame[start + 9:]
    fields = json.loads(frame[start:start + size])
    header = json.dumps({**fields, "opaque": 0x7ffffff0}).encode()
    body = frame[start + size:]
    return struct.pack(">II", 4 + len(header) + len(body), len(header)) + header + body


class Walker:
    """Cuts one direction of a connection into frames; complete ones go to take(frame)."""

    def __init__(self, take):
        self.take = take
        self.held = bytearray()

    def feed(self, data):
        held = self.held
        held += data
        at = 0
        while len(held) - at >= 4:
            end = at + 4 + int.from_bytes(held[at:at + 4], "big")
            if len(held) < end:
                break
            self.take(bytes(held[at:end]))
            at = end
        del held[:at]


class Side(asyncio.Protocol):
    """One end of a relayed connection; `other` is the opposite end."""

    QUEUED_MAX = 4 << 20  # bytes that wait for their delay; beyond, their sender is not read

    def __init__(self, link, from_client):
        self.link, self.from_client = link, from_client
        self.other = self.transport = None
        self.queue = collections.deque()  # (when due, bytes), to be written to this side
        self.queued = 0
        self.full = False
        self.reading = True

    def connection_made(self, transport):
        self.transport = transport
        transport.set_write_buffer_limits(high=1 << 20)
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.from_client:
            self.link.client_is_here()
        elif self.queue:
            self.flush()
        # Not at once: asyncio before Python 3.11.4 begins to read after this call, paused or not.
        self.link.relay.loop.call_soon(self.flow)

    def data_received(self, data):
        self.link.data(self, data)

    def eof_received(self):
        self.link.end(self)
        return True

    def connection_lost(self, exc):
        self.link.lost(exc)

    def pause_writing(self):
        self.full = True
        self.other.flow()

    def resume_writing(self):
        self.full = False
        self.other.flow()

    def flow(self):
        """Reads from this side exactly when the other one can take it."""
        wanted = not (self.link.pair.frozen or self.other.transport is None or self.other.full
                      or self.other.queued > self.QUEUED_MAX)
        if self.transport and not self.transport.is_closing() and wanted != self.reading:
            self.reading = wanted
            if wanted:
                self.transport.resume_reading()
            else:
                self.transport.pause_reading()

    def send(self, data):
        delay = self.link.pair.delay
        if self.transport and not delay and not self.queue:
            self.transport.write(data)
            return
        due = self.link.relay.loop.time() + delay
        if self.queue:
            due = max(due, self.queue[-1][0])
        elif self.transport:
            self.link.relay.loop.call_at(due, self.flush)
        self.queue.append((due, data))
        self.queued += len(data or b"")
        self.other.flow()

    def flush(self):
        """Writes what has waited long enough. None stands for the end."""
        if self.link.closed:
            self.queue.clear()
            return
        now = self.link.relay.loop.time()
        while self.queue and self.queue[0][0] <= now and not self.link.pair.frozen:
            _, data = self.queue.popleft()
            if data is None:
                self.link.close()
                return
            self.queued -= len(data)
            if not self.transport.is_closing():
                self.transport.write(data)
        if self.queue:
            self.link.relay.loop.call_at(max(self.queue[0][0], now + 0.002), self.flush)
        self.other.flow()


class Link:
    """A client's connection and ours to the server."""

    def __init__(self, pair):
        self.pair, self.relay = pair, pair.relay
        self.client = Side(self, True)
        self.server = Side(self, False)
        self.client.other, self.server.other = self.server, self.client
        self.codes = {}
        self.walkers = None
        self.begun = self.closed = False

    def client_is_here(self):
        self.pair.links.add(self)
        self.pair.stats["connections"] += 1
        self.relay.spawn(self.connect())

    async def connect(self):
        while self.pair.frozen and not self.closed:
            await asyncio.sleep(0.01)
        try:
            await self.relay.loop.create_connection(lambda: self.server, *self.pair.target)
        except OSError:
            self.reset()
            return
        if self.closed:
            self.server.transport.abort()
        self.client.flow()

    # ---- bytes ----

    def data(self, side, data):
        pair = self.pair
        pair.stats["to_server" if side.from_client else "to_client"] += len(data)
        if pair.cut and self.relay.random.randrange(pair.cut) == 0:
            pair.stats["cuts"] += 1
            side.other.send(data[:self.relay.random.randrange(len(data) + 1)])
            self.reset()
            return
        if not self.begun:  # decided at the first bytes: a walker begins at a frame; 0x16 is TLS
            self.begun = True
            if data[0] != 0x16 and (pair.names or pair.walk or self.relay.record):
                self.walkers = (Walker(self.to_server), Walker(self.to_client))
        if self.walkers:
            self.walkers[0 if side.from_client else 1].feed(data)
        else:
            side.other.send(data)

    # ---- frames ----

    def to_server(self, frame):
        self.relay.note(0, frame)
        if self.pair.swallow_codes:
            head = parse_header(frame)
            if head and not head[2] & 1:
                self.codes[head[1]] = head[0]
        if self.pair.late and self.taken_out(frame):
            self.pair.stats["late"] += 1
            self.relay.spawn(self.pair.deliver(frame))
            return
        self.server.send(frame)

    def taken_out(self, frame):
        head = parse_header(frame)
        return head and not head[2] & 1 and \
            (not self.pair.late_codes or head[0] in self.pair.late_codes) and \
            self.relay.random.randrange(self.pair.late) == 0

    def to_client(self, frame):
        self.relay.note(1, frame)
        if self.pair.swallow and self.swallowed(frame):
            self.pair.stats["swallowed"] += 1
            return
        if self.pair.names:
            frame = self.relay.rewrite(frame)
        self.client.send(self.twisted(frame))

    def twisted(self, frame):
        """The reply as it is, or with a lie in it."""
        pair, chance = self.pair, self.relay.random.randrange
        if pair.huge and chance(pair.huge) == 0:
            pair.stats["lies"] += 1
            return b"\x40\0\0\0" + frame[4:]
        if pair.stray and chance(pair.stray) == 0:
            pair.stats["lies"] += 1
            return strayed(frame)
        return frame

    def swallowed(self, frame):
        head = parse_header(frame)
        if not head or not head[2] & 1:
            return False
        code = self.codes.pop(head[1], None)
        if self.pair.swallow_codes and code not in self.pair.swallow_codes:
            return False
        return self.relay.random.randrange(self.pair.swallow) == 0

    # ---- ends ----

    def end(self, side):
        """End of data from one side, behind what is still delayed."""
        if side.other.queue:
            side.other.send(None)
        else:
            self.close()

    def lost(self, exc):
        if exc is not None:
            self.reset()
        else:
            self.close()

    def close(self):
        if not self.closed:
            self.closed = True
            self.pair.links.discard(self)
            for side in (self.client, self.server):
                if side.transport:
                    side.transport.close()

    def reset(self):
        self.closed = True
        self.pair.links.discard(self)
        for side in (self.client, self.server):
            if side.transport and not side.transport.is_closing():
                side.transport.get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, LINGER_0)
                side.transport.abort()


class Pair:
    """A port of ours and the server behind it, with its faults."""

    def __init__(self, relay, name, port, target, names=False):
        self.relay, self.name, self.target, self.names = relay, name, target, names
        self.links = set()
        self.server = None
        self.stats = dict.fromkeys(
            ("connections", "to_server", "to_client", "cuts", "swallowed", "late", "delivered",
             "lies"), 0)
        self.no_faults()
        self.listener = self.bind(port)
        self.port = self.listener.getsockname()[1]

    def bind(self, port):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(128)
        return listener

    def no_faults(self):
        self.cut = self.swallow = self.late = self.delay = self.huge = self.stray = 0
        self.swallow_codes = self.late_codes = frozenset()
        self.late_s = 0
        self.frozen = False
        self.walk = False

    async def accept(self):
        self.server = await self.relay.loop.create_server(
            lambda: Link(self).client, sock=self.listener)

    async def deliver(self, frame):
        """A request that was under way for long. A server that is away then never gets it."""
        await asyncio.sleep(self.late_s)
        try:
            reader, writer = await asyncio.open_connection(*self.target)
            writer.write(frame)
            if await reader.read(4):
                self.stats["delivered"] += 1
            writer.close()
        except OSError:
            pass

    def freeze(self, on):
        self.frozen = on
        for link in self.links:
            link.client.flow()
            link.server.flow()

    def reset(self):
        for link in list(self.links):
            link.reset()

    def walk_all(self):
        """Frames can be told only from the first byte of a connection on: begin anew."""
        if not self.walk:
            self.walk = True
            for link in [one for one in self.links if one.begun and not one.walkers]:
                link.reset()

    async def run(self, verb, options):
        if verb == "cut":
            self.cut = int(options["every"])
        elif verb in ("huge", "stray"):
            self.walk_all()
            setattr(self, verb, int(options["every"]))
        elif verb == "swallow":
            self.walk_all()
            self.swallow = int(options["every"])
            self.swallow_codes = frozenset(map(int, filter(None, options.get("codes", "").split(","))))
        elif verb == "late":
            self.walk_all()
            self.late, self.late_s = int(options["every"]), int(options["ms"]) / 1000
            self.late_codes = frozenset(map(int, filter(None, options.get("codes", "").split(","))))
        elif verb == "delay":
            self.delay = int(options["ms"]) / 1000
        elif verb in ("freeze", "thaw"):
            self.freeze(verb == "freeze")
        elif verb == "reset":
            self.reset()
        elif verb == "down":
            if self.server:
                self.server.close()
                self.server = None
            self.reset()
        elif verb == "up":
            if not self.server:
                self.listener = self.bind(self.port)
                await self.accept()
        elif verb == "clear":
            self.cut = self.swallow = self.late = self.delay = self.huge = self.stray = 0
            self.swallow_codes = self.late_codes = frozenset()
            self.freeze(False)
            await self.run("up", {})
        elif verb != "stats":
            raise ValueError(f"no such command: {verb}")


class Relay:
    def __init__(self, seed, record):
        self.random = random.Random(seed)
        self.record = open(record, "wb") if record else None
        self.pairs = {}
        self.tasks = set()
        self.faults = []
        self.loop = None

    def spawn(self, work):
        task = self.loop.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def note(self, direction, frame):
        if self.record:
            self.record.write(struct.pack(">BI", direction, len(frame)) + frame)
            self.record.flush()

    def rewrite(self, frame):
        """A name server's reply with our addresses; any JSON, also with bare numbers as keys."""
        start = 8 + (int.from_bytes(frame[4:8], "big") & 0xFFFFFF)
        body = frame[start:]
        if not body.startswith(b"{"):
            return frame
        body = ADDRESS.sub(lambda m: b'"127.0.0.1:%d"' % self.relay_of(m[1].decode()), body)
        return struct.pack(">I", start - 4 + len(body)) + frame[4:start] + body

    def relay_of(self, address):
        """The port that stands for a broker's address; listens from now on."""
        host, port = address.split(":")
        for pair in self.pairs.values():
            if pair.target == (host, int(port)) or pair.port == int(port):
                return pair.port
        pair = self.pairs[address] = Pair(self, address, 0, (host, int(port)))
        self.spawn(self.open(pair))
        return pair.port

    async def open(self, pair):
        await pair.accept()
        for verb, options in self.faults:
            await pair.run(verb, options)

    async def command(self, line):
        verb, *rest = line.split()
        options = dict(word.split("=", 1) for word in rest)
        name = options.pop("pair", None)
        if name is not None and name not in self.pairs:
            raise ValueError(f"no pair {name}; there are {', '.join(self.pairs)}")
        chosen = [self.pairs[name]] if name else list(self.pairs.values())
        for pair in chosen:
            await pair.run(verb, options)
        if name is None and verb != "stats":
            self.faults = [] if verb == "clear" else self.faults + [(verb, options)]
        return {pair.name: dict(pair.stats, port=pair.port) for pair in self.pairs.values()}

    async def main(self, specs):
        self.loop = asyncio.get_running_loop()
        for spec in specs:
            name, rest = spec.split("=", 1)
            listen, host, port, *names = rest.split(":")
            pair = self.pairs[name] = Pair(self, name, int(listen), (host, int(port)), bool(names))
            await pair.accept()
        say({"event": "ready", "ports": {p.name: p.port for p in self.pairs.values()}})
        reader = asyncio.StreamReader()
        await self.loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := (await reader.readline()).decode().strip():
            try:
                say({"event": "ok", "pairs": await self.command(line)})
            except (ValueError, KeyError, OSError) as error:
                say({"event": "error", "message": f"{line}: {error!r}"})


def say(event):
    print(json.dumps(event), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", nargs="+", metavar="NAME=LISTEN:HOST:PORT[:names]")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--record")
    args = parser.parse_args()
    asyncio.run(Relay(args.seed, args.record).main(args.pairs))


if __name__ == "__main__":
    main()
