# SPDX-License-Identifier: Apache-2.0
"""A real RocketMQ for tests and shows: clusters, Java peers, relays. Standard library only.

    with cluster.Cluster("5.5.0") as rmq:
        rmq.create_topic("T", queues=2)
        java = rmq.peer()
        java.send("T", text="hello {i}", count=10)
        assert len(java.dump("T")) == 10

Jars and compiled peers are kept where fetch.sh puts them; the folders of clusters lie under
$TMPDIR/rocketmq-connect-UID and go with the process that made them. What a dead process left
running is stopped by the next one. Every process is ended by its own pid.
"""
import base64
import fcntl
import hashlib
import hmac
import itertools
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zlib

HERE = pathlib.Path(__file__).resolve().parent
LIBS = pathlib.Path(os.environ.get("RMQ_LIBS") or pathlib.Path(
    os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "rocketmq-connect-c")
VERSIONS = ("5.5.0", "4.9.7")
PATIENCE = float(os.environ.get("RC_PATIENCE", "20"))
FIRST_PORT, LAST_PORT, PORTS_EACH = 20000, 32000, 100  # below the ephemeral ports

_numbers = itertools.count()


class Trouble(Exception):
    """A server, a peer or a script did what it must not; the text says what."""


def run(*command, timeout=180, **more):
    done = subprocess.run([str(c) for c in command], stdin=subprocess.DEVNULL, text=True,
                          capture_output=True, timeout=timeout, check=False, **more)
    if done.returncode:
        raise Trouble(f"{pathlib.Path(command[0]).name} {' '.join(map(str, command[1:]))} ended "
                      f"with {done.returncode}: {done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done.stdout


def wait_for(what, condition, seconds=None):
    """Polls condition() until it is true and returns its value."""
    end = time.monotonic() + (seconds or PATIENCE)
    pause = 0.005
    while True:
        seen = condition()
        if seen:
            return seen
        if time.monotonic() > end:
            raise Trouble(f"waited {seconds or PATIENCE:g} s for: {what}; last seen: {seen!r}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)


def unique(prefix="T"):
    """A name for a topic or a group that nothing else in this cluster has."""
    return f"{prefix}-{os.getpid()}-{next(_numbers)}"


def libs(version):
    """The folder with the jars of a version; fetched when it is not there yet."""
    if version not in libs.ready:
        run("bash", HERE / "fetch.sh", version, timeout=600)
        libs.ready.add(version)
    return LIBS / f"rocketmq-{version}"


libs.ready = set()


def classes(version):
    """The folder with Peer.class for a version's jars, named after the source's hash."""
    source = HERE / "java" / "Peer.java"
    jars = libs(version)
    mark = hashlib.sha256(source.read_bytes()).hexdigest()[:16]
    out = jars / f"peer-{mark}"
    if out.is_dir():
        return out
    with open(jars / "peer.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not out.is_dir():
            part = pathlib.Path(tempfile.mkdtemp(prefix="part-", dir=jars))
            try:
                run("javac", "-nowarn", "-encoding", "UTF-8", "-d", part, "-cp", f"{jars}/*", source)
                part.rename(out)
            finally:
                shutil.rmtree(part, ignore_errors=True)
            old = sorted(jars.glob("peer-*"), key=lambda f: f.stat().st_mtime)
            for folder in old[:-5]:
                shutil.rmtree(folder, ignore_errors=True)
    return out


# ---- folders and ports ----

def _top():
    top = pathlib.Path(tempfile.gettempdir()) / f"rocketmq-connect-{os.getuid()}"
    top.mkdir(mode=0o700, exist_ok=True)
    return top


def sweep():
    """Stops and removes clusters whose process is gone."""
    for folder in _top().glob("*-cluster-*"):
        owner = folder.name.split("-")[0]
        if not os.path.exists(f"/proc/{owner}"):
            subprocess.run(["bash", str(HERE / "rocketmq-stop.sh"), "--base", str(folder),
                            "--kill", "--clean"], capture_output=True, check=False)
            shutil.rmtree(folder, ignore_errors=True)


def _is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def take_ports(brokers):
    """(name server port, lock): a block of ports nobody holds; ours until the lock is closed."""
    blocks = list(range(FIRST_PORT, LAST_PORT, PORTS_EACH))
    random.SystemRandom().shuffle(blocks)
    for base in blocks:
        lock = open(_top() / f"ports-{base}.lock", "w", encoding="ascii")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            continue
        if all(_is_free(p) for p in range(base, base + 10 * (brokers + 1) + 8)):
            return base, lock
        lock.close()
    raise Trouble(f"no {PORTS_EACH} free ports in a row between {FIRST_PORT} and {LAST_PORT}")


# ---- one request by hand ----

def request(port, code, fields=None, body=b"", user=None, tls=False, version=513, timeout=10):
    """Asks the server on a port of loopback; (header, body) of its reply. user = "key:secret"."""
    fields = {k: str(v) for k, v in (fields or {}).items()}
    if user:
        key, secret = user.split(":", 1)
        fields["AccessKey"] = key
        text = "".join(fields[k] for k in sorted(fields)).encode() + body
        fields["Signature"] = base64.b64encode(
            hmac.new(secret.encode(), text, hashlib.sha1).digest()).decode()
    header = json.dumps({"code": code, "language": "CPP", "version": version, "opaque": 7,
                         "flag": 0, "extFields": fields}).encode()
    frame = struct.pack(">II", 4 + len(header) + len(body), len(header)) + header + body
    with socket.create_connection(("127.0.0.1", port), timeout) as plain:
        wire = ssl._create_unverified_context().wrap_socket(plain) if tls else plain
        wire.sendall(frame)
        file = wire.makefile("rb")
        while True:
            total, length = struct.unpack(">II", _read(file, 8))
            rest = _read(file, total - 4)
            header = _header(rest[:length & 0xFFFFFF], length >> 24)
            if header["flag"] & 1:
                return header, rest[length & 0xFFFFFF:]


def _read(file, size):
    data = file.read(size)
    if len(data) < size:
        raise Trouble("the server closed the connection instead of a reply")
    return data


def _header(data, kind):
    if kind == 0:
        return json.loads(data)
    code, _, _, opaque, flag, size = struct.unpack(">hbhiii", data[:17])
    header = {"code": code, "opaque": opaque, "flag": flag, "extFields": {},
              "remark": data[17:17 + size].decode()}
    at = 17 + size + 4
    while at < len(data):
        size = struct.unpack(">h", data[at:at + 2])[0]
        key = data[at + 2:at + 2 + size].decode()
        at += 2 + size
        size = struct.unpack(">i", data[at:at + 4])[0]
        header["extFields"][key] = data[at + 4:at + 4 + size].decode()
        at += 4 + size
    return header


# ---- clusters ----

class Cluster:
    """One name server, some brokers. Names of processes: namesrv, broker-0, slave-0, proxy."""

    def __init__(self, version="5.5.0", brokers=1, slaves=False, acl=None, tls=None, sets=(),
                 jvm=(), proxy=False, auto_create=True, name=None, host=None):
        self.version, self.brokers, self.slaves = version, brokers, slaves
        self.acl, self.tls, self.proxy = acl, tls, proxy
        self.sets, self.jvm, self.auto_create, self.name = sets, jvm, auto_create, name
        self.host = host
        self.port, self.lock = take_ports(brokers)
        self.base = _top() / f"{os.getpid()}-cluster-{self.port}"
        self.peers = []
        self.relays = []
        self.running = False

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    # -- life

    def start(self, only=None):
        """Starts all, or one process that was killed, and waits until it serves."""
        command = ["bash", HERE / "rocketmq-start.sh", "--base", self.base, "--quiet"]
        if only:
            run(*command, "--only", only)
            return self
        sweep()
        command += ["--lib", libs(self.version), "--port", self.port, "--brokers", self.brokers]
        command += ["--slaves"] if self.slaves else []
        command += ["--proxy"] if self.proxy else []
        command += ["--cluster", self.name, "--broker-prefix", self.name] if self.name else []
        command += ["--host", self.host] if self.host else []
        command += [] if self.auto_create else ["--no-auto-create"]
        if self.acl:
            command += ["--plain-acl" if self.version[0] == "4" else "--acl", self.acl]
        if self.tls:
            command += ["--tls", self.tls]
        for text in self.sets:
            command += ["--set", text]
        for text in self.jvm:
            command += ["--jvm", text]
        self.running = True
        try:
            run(*command)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self):
        """Kills everything, the peers and relays too, and removes the folder."""
        for thing in self.peers + self.relays:
            thing.close(kill=True)  # their servers end too: nothing to say good-bye to
        self.peers, self.relays = [], []
        if self.running:
            self.running = False
            self.thaw_all()
            run("bash", HERE / "rocketmq-stop.sh", "--base", self.base, "--kill", "--clean")
            self.lock.close()

    def kill(self, name="broker-0"):
        """A crash: SIGKILL."""
        self._stop_script("--kill", name)

    def shut_down(self, name="broker-0"):
        """An orderly stop; a broker takes some 15 s."""
        self._stop_script("--wait", "60", name)

    def _stop_script(self, *args):
        run("bash", HERE / "rocketmq-stop.sh", "--base", self.base, *args)

    def pid(self, name="broker-0"):
        return int((self.base / "pids" / f"{name}.pid").read_text())

    def freeze(self, name="broker-0"):
        """A hang: the process stops, its connections stay open."""
        os.kill(self.pid(name), signal.SIGSTOP)

    def thaw(self, name="broker-0"):
        os.kill(self.pid(name), signal.SIGCONT)

    def thaw_all(self):
        for file in (self.base / "pids").glob("*.pid"):
            try:
                self.thaw(file.stem)
            except (OSError, ValueError):
                pass

    # -- addresses and logs

    @property
    def namesrv(self):
        return f"{self.host or '127.0.0.1'}:{self.port}"

    def broker_port(self, name="broker-0"):
        kind, number = name.split("-")
        return self.port + 10 * (int(number) + 1) + (5 if kind == "slave" else 0)

    def address(self, name="broker-0"):
        return f"127.0.0.1:{self.broker_port(name)}"

    @property
    def ca(self):
        """CA certificate of a cluster with tls."""
        return self.base / "tls" / "ca.pem"

    def log(self, name="broker-0", limit=10000):
        text = ""
        for kind in ("out", "log"):
            file = self.base / "logs" / f"{name}.{kind}"
            if file.exists():
                text += file.read_text("utf-8", "replace")[-limit:]
        return text

    def logs(self):
        """(name, text) of all processes that wrote something."""
        names = sorted({f.stem for f in (self.base / "logs").glob("*.*")})
        return [(n, text) for n in names if (text := self.log(n)).strip()]

    # -- requests

    def call(self, where, code, fields=None, body=b"", good=(0,)):
        """A request to "namesrv" or a broker; a code other than `good` is Trouble."""
        port = self.port if where == "namesrv" else self.broker_port(where)
        header, data = request(port, code, fields, body, user=self.acl,
                               tls=self.tls == "enforcing")
        if header["code"] not in good:
            raise Trouble(f"request {code} {fields} to {where}: code {header['code']}, "
                          f"{header.get('remark')}")
        return header, data

    def masters(self):
        return [f"broker-{i}" for i in range(self.brokers)]

    def create_topic(self, topic=None, queues=4, perm=6, brokers=None):
        """Creates a topic on the masters and waits until the name server tells of it."""
        topic = topic or unique()
        brokers = self.masters() if brokers is None else brokers
        for broker in brokers:
            self.call(broker, 17, {
                "topic": topic, "defaultTopic": "TBW102", "readQueueNums": queues,
                "writeQueueNums": queues, "perm": perm, "topicFilterType": "SINGLE_TAG",
                "topicSysFlag": 0, "order": "false"})
        wait_for(f"the route of {topic}", lambda: len(self.route(topic)) >= len(brokers))
        return topic

    def route(self, topic):
        """queueDatas of a topic; empty when the name server knows none."""
        header, body = self.call("namesrv", 105, {"topic": topic}, good=(0, 17))
        return json.loads(body)["queueDatas"] if header["code"] == 0 else []

    def delete_topic(self, topic):
        for broker in self.masters():
            self.call(broker, 215, {"topic": topic})
        self.call("namesrv", 216, {"topic": topic})

    def offsets(self, topic):
        """{(broker, queue): (lowest, next)} of a topic, of masters that run."""
        found = {}
        for data in self.route(topic):
            broker = "broker-" + data["brokerName"].rsplit("-", 1)[1]
            for queue in range(data["readQueueNums"]):
                fields = {"topic": topic, "queueId": queue}
                low, high = (int(self.call(broker, code, fields)[0]["extFields"]["offset"])
                             for code in (31, 30))
                found[data["brokerName"], queue] = (low, high)
        return found

    def count(self, topic):
        """How many messages a topic has."""
        return sum(high - low for low, high in self.offsets(topic).values())

    def committed(self, group, topic):
        """{(broker, queue): offset} a group has committed; queues without one are left out."""
        found = {}
        for data in self.route(topic):
            broker = "broker-" + data["brokerName"].rsplit("-", 1)[1]
            for queue in range(data["readQueueNums"]):
                header, _ = self.call(broker, 14, {
                    "consumerGroup": group, "topic": topic, "queueId": queue,
                    "setZeroIfNotFound": "false"}, good=(0, 22))
                if header["code"] == 0:
                    found[data["brokerName"], queue] = int(header["extFields"]["offset"])
        return found

    def set_broker(self, broker="broker-0", **keys):
        """Changes settings of a running broker."""
        self.call(broker, 25, body="\n".join(f"{k}={v}" for k, v in keys.items()).encode())

    # -- tools

    def mqadmin(self, *args):
        """RocketMQ's own admin tool; slow (2 s)."""
        return run("bash", HERE / "mqadmin.sh", "--base", self.base, *args)

    def peer(self, version=None, namesrv=None, jvm=(), acl=""):
        """A Java client that takes commands until the cluster or it is closed. acl="key:secret"
        or None instead of the cluster's own user."""
        peer = Peer(version or self.version, namesrv or self.namesrv, self.base,
                    acl=self.acl if acl == "" else acl, tls=bool(self.tls), jvm=jvm)
        self.peers.append(peer)
        return peer

    def java(self, command, version=None, **options):
        """One command of Peer.java in a JVM of its own; the events it printed."""
        with Peer(version or self.version, self.namesrv, self.base, acl=self.acl,
                  tls=bool(self.tls)) as peer:
            return peer.do(command, **options)

    def relay(self, seed=1, record=None):
        """A relay; clients of relay.namesrv reach all brokers through it."""
        relay = Relay([f"namesrv=0:127.0.0.1:{self.port}:names"], seed, record)
        self.relays.append(relay)
        return relay


# ---- helpers in processes of their own ----

class _Lines:
    """A process that prints JSON lines. A thread collects them."""

    def __init__(self, command, err):
        self.events = []
        self.changed = threading.Condition()
        self.err = err
        with open(err, "ab") as log:
            self.process = subprocess.Popen([str(c) for c in command], stdin=subprocess.PIPE,
                                            stdout=subprocess.PIPE, stderr=log, text=True,
                                            encoding="utf-8", start_new_session=True)
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        for line in self.process.stdout:
            try:
                event = json.loads(line)
            except ValueError:  # the JVM itself warns on stdout
                event = {"event": "text", "text": line}
            with self.changed:
                self.events.append(event)
                self.changed.notify_all()
        with self.changed:
            self.events.append({"event": "ended"})
            self.changed.notify_all()

    def write(self, line):
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
        except (OSError, ValueError) as error:
            raise Trouble(f"it is gone, cannot be told {line}: {error}; {self.said()}") from error

    def wait(self, what, condition, seconds=None):
        """Waits until condition(events) is true and returns its value."""
        end = time.monotonic() + (seconds or PATIENCE)
        with self.changed:
            while True:
                seen = condition(self.events)
                if seen:
                    return seen
                if self.events and self.events[-1]["event"] == "ended":
                    raise Trouble(f"it ended instead of: {what}; {self.said()}")
                if not self.changed.wait(end - time.monotonic()):
                    raise Trouble(f"waited for: {what}; last events {self.events[-3:]}; "
                                  f"{self.said()}")

    def said(self):
        return pathlib.Path(self.err).read_text("utf-8", "replace")[-3000:]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self, kill=False):
        """End of input, so that it ends in order; killed when it does not."""
        if self.process.poll() is None:
            try:
                self.process.stdin.close()
            except OSError:
                pass
            try:
                self.process.wait(0 if kill else PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.thread.join()


class Peer(_Lines):
    """java/Peer.java, serving commands. One JVM, many clients: it starts once per test session."""

    def __init__(self, version, namesrv, folder, acl=None, tls=False, jvm=()):
        home = pathlib.Path(folder) / f"peer-{next(_numbers)}"
        home.mkdir()
        self.namesrv = namesrv
        self.ids = itertools.count(1)
        java = shutil.which("java")
        if not java:
            raise Trouble("no java found; scripts/bootstrap.sh installs it")
        command = [java, "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx512m", *jvm,
                   f"-Duser.home={home}", "-Djava.net.preferIPv4Stack=true",
                   "-cp", f"{classes(version)}:{libs(version)}/*", "Peer", "--namesrv", namesrv]
        command += ["--acl", acl] if acl else []
        command += ["--tls", "true"] if tls else []
        super().__init__(command + ["serve"], home / "peer.err")

    def start(self, command, **options):
        """Gives a command and returns its id; answers come while it runs."""
        number = next(self.ids)
        self.write(json.dumps({"do": command, "id": number, **options}))
        return number

    def of(self, number):
        with self.changed:
            return [e for e in self.events if e.get("id") == number]

    def do(self, command, seconds=None, **options):
        """Runs a command; its events, the last of which is "done"."""
        number = self.start(command, **options)
        seen = 0

        def done(events):
            nonlocal seen  # a dump has a million of them
            begin, seen = seen, len(events)
            return any(events[i]["event"] == "done" and events[i].get("id") == number
                       for i in range(begin, seen))

        self.wait(f"{command} {options}", done, seconds or PATIENCE * 3)
        return self.of(number)

    def good(self, command, **options):
        """Like do(), but an error is Trouble and "done" is left out."""
        events = self.do(command, **options)
        for event in events:
            if event["event"] == "error":
                raise Trouble(f"Java's {command} {options}: {event['class']} "
                              f"{event.get('code', '')} {event['message']}")
        return events[:-1]

    def send(self, topic, **options):
        """Sends; the events "sent" (see Peer.java for the options)."""
        return [e for e in self.good("send", topic=topic, **options) if e["event"] == "sent"]

    def dump(self, topic, **options):
        """Every message of every queue, in order of broker, queue, offset; bodies as bytes."""
        return [unpack(e) for e in self.good("dump", topic=topic, **options)
                if e["event"] == "message"]

    def offsets(self, topic, **options):
        return self.good("offsets", topic=topic, **options)

    def admin(self, call, **options):
        return self.good("admin", call=call, **options)[0]["value"]

    def consume(self, topic, group, **options):
        return Consumer(self, self.good("consume", topic=topic, group=group, **options)[0])


class Consumer:
    """A push consumer inside a Peer."""

    def __init__(self, peer, started):
        self.peer, self.id, self.client_id = peer, started["id"], started["clientId"]

    def messages(self, kind="message"):
        return [unpack(e) for e in self.peer.of(self.id) if e["event"] == kind]

    def wait_messages(self, count, seconds=None, kind="message"):
        self.peer.wait(f"{count} messages of consumer {self.id}", lambda events: sum(
            e["event"] == kind and e.get("id") == self.id for e in events) >= count,
            seconds or PATIENCE * 3)  # a member that comes too soon gets its queues 20 s later
        return self.messages(kind)

    @property
    def queues(self):
        """{(topic, broker, queue)} it has now, retry topics left out."""
        told = [e for e in self.peer.of(self.id) if e["event"] == "queues"]
        names = [q.split(" ") for q in told[-1]["queues"]] if told else []
        return {(t, b, int(q)) for t, b, q in names if not t.startswith("%RETRY%")}

    def stop(self):
        self.peer.good("stop", name=str(self.id))


def unpack(event):
    """A message event with its body as bytes; the CRC that Java took must fit."""
    if "body" in event:
        event = dict(event, body=base64.b64decode(event["body"]))
        if zlib.crc32(event["body"]) != event["crc"]:
            raise Trouble(f"the body came damaged from the peer: {event}")
    return event


def pattern(number, size):
    """The body that `size=` makes for message `number` (Peer.java, pattern)."""
    return bytes((number * 31 + j * 7 + (j >> 8)) & 0xFF for j in range(size))


class Relay(_Lines):
    """relay.py; see there for the commands."""

    def __init__(self, pairs, seed=1, record=None):
        more = ["--record", record] if record else []
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="relay-", dir=_top()))
        super().__init__([sys.executable, HERE / "relay.py", "--seed", seed, *more, *pairs],
                         self.folder / "err")
        self.ports = self.wait("the relay's ports", lambda events: events and events[0])["ports"]

    @property
    def namesrv(self):
        return f"127.0.0.1:{self.ports['namesrv']}"

    def do(self, command):
        """Runs a command; {pair: counts}."""
        with self.changed:
            seen = len(self.events)
        self.write(command)
        answer = self.wait(command, lambda events: len(events) > seen and events[seen])
        if answer["event"] != "ok":
            raise Trouble(f"relay: {answer}")
        return answer["pairs"]

    def close(self, kill=False):
        super().close(kill)
        shutil.rmtree(self.folder, ignore_errors=True)
