# SPDX-License-Identifier: Apache-2.0
"""Kafka beside us: a KRaft broker and Kafka Connect standalone of 3.9.1, with the options that
Kafka's own start scripts give to Java."""
import pathlib
import shutil
import socket
import subprocess

import cluster
import hosts_kit

HERE = pathlib.Path(__file__).resolve().parent / "kafka"
G1 = ["-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-XX:InitiatingHeapOccupancyPercent=35",
      "-XX:+ExplicitGCInvokesConcurrent", "-Djava.awt.headless=true"]
STRING = "org.apache.kafka.connect.storage.StringConverter"
LOG4J = """log4j.rootLogger=WARN, out
log4j.appender.out=org.apache.log4j.ConsoleAppender
log4j.appender.out.layout=org.apache.log4j.PatternLayout
log4j.appender.out.layout.ConversionPattern=%d %p %m (%c)%n
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def properties(path, **keys):
    path.write_text("".join(f"{k.replace('__', '.')}={v}\n" for k, v in keys.items()), "utf-8")
    return path


class Java:
    """A Java process of Kafka; its words are in FOLDER/NAME.log."""

    def __init__(self, folder, name, heap, classpath, *words):
        self.log = pathlib.Path(folder) / f"{name}.log"
        (self.log.parent / "log4j.properties").write_text(LOG4J, "ascii")
        self.argv = ["java", *heap, *G1,
                     f"-Dlog4j.configuration=file:{self.log.parent}/log4j.properties",
                     "-cp", classpath, *[str(w) for w in words]]
        self.process = None

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, cwd=self.log.parent)
        return self

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    @property
    def pid(self):
        if self.process.poll() is not None:
            raise cluster.Trouble(f"{self.log}: {self.log.read_text('utf-8', 'replace')[-2000:]}")
        return self.process.pid


class Kafka:
    """A broker, and Connect with it. connect-file lies in a plugin folder, as with us."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.libs = pathlib.Path(hosts_kit.sh(HERE / "fetch.sh"))
        plugins = self.folder / "plugins/file"
        plugins.mkdir(parents=True)
        shutil.copy(next(self.libs.glob("connect-file-*.jar")), plugins)
        self.classpath = ":".join(str(jar) for jar in sorted(self.libs.glob("*.jar"))
                                  if not jar.name.startswith("connect-file"))
        self.port, self.broker, self.runs = free_port(), None, 0

    def start(self):
        controller = free_port()
        conf = properties(
            self.folder / "server.properties", process__roles="broker,controller", node__id=1,
            listeners=f"PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{controller}",
            controller__quorum__voters=f"1@127.0.0.1:{controller}",
            controller__listener__names="CONTROLLER", log__dirs=self.folder / "data",
            offsets__topic__replication__factor=1, transaction__state__log__replication__factor=1,
            transaction__state__log__min__isr=1, group__initial__rebalance__delay__ms=0,
            num__network__threads=3, num__io__threads=8)
        hosts_kit.sh("java", "-cp", self.classpath, "kafka.tools.StorageTool", "format", "-t",
                     "MkU3OEVBNTcwNTJENDM2Qk", "-c", conf)
        self.broker = Java(self.folder, "broker", ["-Xmx1G", "-Xms1G"], self.classpath,
                           "kafka.Kafka", conf).start()
        cluster.wait_for("Kafka's broker", self.listening, 60)
        return self

    def listening(self):
        with socket.socket() as s:
            return self.broker.pid and s.connect_ex(("127.0.0.1", self.port)) == 0

    def connect(self, *connectors, **keys):
        """Connect standalone with these connectors; not yet started."""
        self.runs += 1
        place = self.folder / f"connect-{self.runs}"
        place.mkdir()
        conf = properties(
            place / "worker.properties", bootstrap__servers=f"127.0.0.1:{self.port}",
            offset__storage__file__filename=place / "offsets", plugin__path=self.folder / "plugins",
            listeners=f"http://127.0.0.1:{free_port()}",
            **{"key__converter": STRING, "value__converter": STRING, **keys})
        files = [properties(place / f"{c['name']}.properties", **c) for c in connectors]
        return Java(place, "connect", ["-Xms256M", "-Xmx2G"], self.classpath,
                    "org.apache.kafka.connect.cli.ConnectStandalone", conf, *files)

    def stop(self):
        if self.broker:
            self.broker.stop()
