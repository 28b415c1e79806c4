# SPDX-License-Identifier: Apache-2.0
"""Two Java connectors in one process whose libraries exclude each other, and a jar that is replaced."""
import shutil
import sys

import pytest
from conftest import ROOT, wait_until
from hosts.test_java_host import JAR
from hosts.test_java_worker import NATIVE_SINK, QUICK, create, lines

sys.path.insert(0, str(ROOT / "tests/hosts"))
import conflicts  # noqa: E402

pytestmark = pytest.mark.skipif(not (JAR.exists() and shutil.which("javac")),
                                reason="not built: target java_host; or there is no JDK")


def test_each_has_its_own_library_and_a_new_version_comes_with_a_restart(make_worker, tmp_path):
    plugins = tmp_path / "plugins"
    conflicts.build(plugins, "alpha", "1.0", "first")
    conflicts.build(plugins, "beta", "2.0", "second")
    worker = make_worker(pluginPaths=plugins, **QUICK).start()
    out = {name: tmp_path / f"{name}.txt" for name in ("alpha", "beta")}
    for name, path in out.items():
        create(worker, f"{name}-out", connector__class=NATIVE_SINK, filename=path,
               connect__topicnames=name)
        create(worker, name, connector__class=f"{name}.{name.capitalize()}Source",
               connect__topicname=name, count=100000000, host__group="both")
    wait_until("both", lambda: all(lines(path) for path in out.values()), 60)

    conflicts.build(plugins, "alpha", "3.0", "third")
    (plugins / "broken.jar").write_bytes(b"PK\3\4 this is no archive")
    assert worker.get("/plugin/reload").status == 200
    versions = {p["class"]: p["version"] for p in worker.get("/api/v1/connector-plugins").json}
    assert versions["alpha.AlphaSource"] == "3.0" and versions["beta.BetaSource"] == "2.0"
    assert "broken.jar" in worker.get("/api/v1/connector-plugins?refused=true").text
    assert worker.states("alpha")[1] == worker.states("beta")[1] == ["RUNNING"]
    assert "third" not in out["alpha"].read_text(), "what runs goes on as it is"

    assert worker.request("POST", "/api/v1/connectors/alpha/restart?includeTasks=true").status < 300
    wait_until("the new version", lambda: "third" in out["alpha"].read_text(), 60)
    numbers = [line.split()[0] for line in lines(out["alpha"])[:-1]]
    assert numbers == [str(n + 1) for n in range(len(numbers))], "one after the other, none twice"
    assert "first" not in out["beta"].read_text() and "third" not in out["beta"].read_text()
    assert worker.stop() == 0
