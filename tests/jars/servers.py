# SPDX-License-Identifier: Apache-2.0
"""Servers that connectors read from and write to, each in a folder of its own on a free port:
PostgreSQL and MariaDB of Debian, and a Kafka broker (KRaft) from its jars."""
import os
import pathlib
import pwd
import shutil
import socket
import stat
import subprocess
import uuid

import cluster
import jars_kit


class Missing(cluster.Trouble):
    """A server is not installed."""


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def _find(name, *folders):
    found = shutil.which(name)
    for folder in folders:
        found = found or next((str(f) for f in sorted(pathlib.Path("/").glob(folder + "/" + name))),
                              None)
    if not found:
        raise Missing(f"there is no {name}; apt-get install postgresql mariadb-server")
    return found


class _Server:
    """A process in `folder`; its output is in the file log there."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True)
        self.process = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def _spawn(self, command, **who):
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, cwd=self.folder, **who)

    def _ready(self, condition, seconds=180):
        def there():
            if self.process.poll() is not None:
                text = (self.folder / "log").read_text("utf-8", "replace")[-3000:]
                raise cluster.Trouble(f"{type(self).__name__} ended: {text}")
            return condition()
        cluster.wait_for(f"{type(self).__name__} in {self.folder}", there, seconds)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class _Database(_Server):
    """sql(text) runs statements and gives the rows as tuples of texts."""

    def _client(self):
        raise NotImplementedError

    def sql(self, text, timeout=300):
        done = subprocess.run(self._client(), input=text, text=True, capture_output=True,
                              timeout=timeout, check=False)
        if done.returncode:
            raise cluster.Trouble(f"{text[:300]}: {done.stderr[-2000:]}")
        return [tuple(row.split("\t")) for row in done.stdout.splitlines()]

    def _give(self, name):
        """Who the server has to run as when we are root, as keywords of subprocess: that user then
        has the folder and reaches it. Empty when we are not."""
        if os.geteuid() != 0:
            return {}
        user = pwd.getpwnam(name)
        os.chown(self.folder, user.pw_uid, user.pw_gid)
        for above in self.folder.resolve().parents:
            mode = above.stat().st_mode
            if not mode & stat.S_IXOTH:
                above.chmod(mode | stat.S_IXOTH)
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}

    def answers(self):
        try:
            return self.sql("SELECT 1;") == [("1",)]
        except cluster.Trouble:
            return False


class Postgres(_Database):
    """With logical decoding. User postgres, no password, database postgres."""

    def start(self):
        who = self._give("postgres")
        place = "usr/lib/postgresql/*/bin"
        subprocess.run([_find("initdb", place), "-D", self.folder / "data", "-A", "trust", "-U",
                        "postgres", "-E", "UTF8", "--locale=C", "--no-sync"], check=True,
                       cwd=self.folder, stdout=subprocess.DEVNULL, **who)
        self.port, = free_ports(1)
        keys = {"wal_level": "logical", "fsync": "off", "max_wal_size": "4GB",
                "listen_addresses": "127.0.0.1", "unix_socket_directories": self.folder,
                "port": self.port}
        self._spawn([_find("postgres", place), "-D", self.folder / "data"] +
                    [word for k, v in keys.items() for word in ("-c", f"{k}={v}")], **who)
        self._ready(self.answers)
        return self

    def position(self):
        """Where its log is written next."""
        return int(self.sql("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn;")[0][0])

    @staticmethod
    def position_of(source):
        """The same of the `source` of a change that Debezium tells."""
        return source["lsn"]

    def _client(self):
        return ["psql", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-v",
                "ON_ERROR_STOP=1", "-Atq", "-F", "\t"]


class MariaDb(_Database):
    """With a row binlog. User dbz, password dbz, database shop."""

    def start(self):
        who = self._give("mysql")
        data = self.folder / "data"
        subprocess.run(["mariadb-install-db", "--no-defaults", f"--datadir={data}",
                        "--auth-root-authentication-method=normal", "--skip-test-db"], check=True,
                       cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **who)
        self.port, = free_ports(1)
        self._spawn([_find("mariadbd", "usr/sbin"), "--no-defaults", f"--datadir={data}",
                     f"--port={self.port}", "--bind-address=127.0.0.1", "--server-id=1",
                     f"--socket={self.folder}/sock", "--log-bin=bin", "--binlog-format=ROW",
                     "--binlog-row-image=FULL", "--innodb-flush-log-at-trx-commit=0",
                     "--sync-binlog=0", "--innodb-buffer-pool-size=256M",
                     f"--pid-file={self.folder}/pid"], **who)
        self._ready(self.answers)
        self.sql("CREATE DATABASE shop; CREATE USER dbz@'%' IDENTIFIED BY 'dbz'; "
                 "GRANT ALL ON *.* TO dbz@'%';")
        return self

    def position(self):
        """Where its log is written next."""
        file, at = self.sql("SHOW MASTER STATUS;")[0][:2]
        return file, int(at)

    @staticmethod
    def position_of(source):
        """The same of the `source` of a change that Debezium tells."""
        return source["file"], source["pos"]

    def _client(self):
        return ["mariadb", "--no-defaults", f"--socket={self.folder}/sock", "-u", "root", "-N",
                "-B"]


class Kafka(_Server):
    """One broker that is its own controller; topics are made with `partitions` when first used."""

    def __init__(self, folder, partitions=4):
        super().__init__(folder)
        self.partitions = partitions
        self.port, self.controller = free_ports(2)

    @property
    def bootstrap(self):
        return f"127.0.0.1:{self.port}"

    def _java(self, *more):
        return ["java", "-Xmx512m", "-XX:+UseSerialGC", "-cp", f"{jars_kit.jars('kafka')}/*", *more]

    def start(self):
        config = self.folder / "server.properties"
        config.write_text(f"""process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{self.controller}
listeners=PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{self.controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{self.port}
controller.listener.names=CONTROLLER
log.dirs={self.folder}/data
num.partitions={self.partitions}
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
""", "ascii")
        cluster.run(*self._java("kafka.tools.StorageTool", "format", "-c", config, "-t",
                                str(uuid.uuid4())))
        self._spawn(self._java("kafka.Kafka", config))
        self._ready(self._listens)
        return self

    def _listens(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False

    def produce(self, topic, file):
        """Records of a file, a line each: key, tab, value."""
        with open(file, "rb") as lines:
            done = subprocess.run(
                self._java("kafka.tools.ConsoleProducer", "--bootstrap-server", self.bootstrap,
                           "--topic", topic, "--property", "parse.key=true", "--producer-property",
                           "acks=1", "--batch-size", "65536", "--timeout", "20"),
                stdin=lines, capture_output=True, timeout=900, check=False)
        if done.returncode:
            raise cluster.Trouble(f"the console producer: {done.stderr[-2000:]}")
