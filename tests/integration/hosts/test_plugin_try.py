# SPDX-License-Identifier: Apache-2.0
"""`plugin try`: any folder of jars, as somebody would leave it who is in a hurry."""
import json
import shutil
import sys
import tarfile
import zipfile

import pytest
from conftest import ROOT, run_program
from hosts.test_java_host import (EXAMPLE, FILE_SINK, FILE_SOURCE, JAR, KAFKA_FILE, LINE, REVERSE,
                                  TICK, UPPER)

sys.path.insert(0, str(ROOT / "tests/hosts"))
import conflicts  # noqa: E402

pytestmark = pytest.mark.skipif(not (JAR.exists() and EXAMPLE.exists() and shutil.which("java")),
                                reason="not built: targets java_host and java_examples")
JAVA = ["--set", f"host.java.jar={JAR}", "--set",
        "host.java.options=-XX:+UseSerialGC -Xmx96m -XX:TieredStopAtLevel=1"]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty folder for plugins; the command's own files are in tmp_path/tmp."""
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    (tmp_path / "plugins").mkdir()
    yield tmp_path / "plugins"
    assert not list((tmp_path / "tmp").iterdir()), "its state is removed"


def attempt(place, *more, wanted=None):
    """(result, what the command said of each thing by its name)"""
    if wanted is not None:
        file = place.parent / "run.json"
        file.write_text(json.dumps(wanted))
        more = ("--run", file, *more)
    result = run_program("plugin", "try", place, *JAVA, "--stay", "0s", "--json", *more, timeout=120)
    said = result.json
    assert said["ok"] == (result.code == 0), result
    return result, {r["what"].split("/")[-1]: (r["result"], r["kind"], r["text"])
                    for r in said["results"]}


def newer(jar):
    """The example's UpperTransform as a later Java would have compiled it."""
    with zipfile.ZipFile(EXAMPLE) as old, zipfile.ZipFile(jar, "w") as new:
        name = f"{UPPER.replace('.', '/')}.class"
        code = bytearray(old.read(name))
        code[6:8] = (44 + 99).to_bytes(2, "big")
        new.writestr(name, bytes(code))


def test_everything_in_a_folder_is_told_with_what_to_do(place):
    shutil.copy(EXAMPLE, place)
    (place / "vendor/lib").mkdir(parents=True)
    shutil.copy(KAFKA_FILE, place / "vendor/lib")
    (place / "page.jar").write_text("<html>404 Not Found</html>")
    newer(place / "newer.jar")
    with zipfile.ZipFile(place / "packed.zip", "w") as packed:
        packed.write(KAFKA_FILE, "packed/lib/connect-file.jar")
    with tarfile.open(place / "plugin.tar.gz", "w:gz") as packed:
        packed.add(KAFKA_FILE, "plugin/connect-file.jar")
    result, said = attempt(place)
    assert result.code == 1
    for what, kind in ((f"{TICK} 1.2.3", "source"), (f"{LINE} 1.2.3", "sink"),
                       (f"{UPPER} 1.2.3", "transform"), (f"{REVERSE} 1.2.3", "converter"),
                       (f"{FILE_SOURCE} 3.9.1", "source"), (f"{FILE_SINK} 3.9.1", "sink")):
        assert said[what][:2] == ("ok", kind), result
    assert said[f"{FILE_SOURCE} 3.9.1"][2].startswith("3 options; an empty configuration is refused: ")
    for file, words in (("page.jar", "is no archive that can be read"), ("newer.jar", "host.java"),
                        ("packed.zip", "unpack it into a folder of its own"),
                        ("plugin.tar.gz", "unpack it into a folder of its own")):
        assert said[file][0] == "FAIL" and words in said[file][2], result
    assert f"{UPPER} needs Java 99" in said["newer.jar"][2]


def test_connectors_run_and_move_their_records(place, tmp_path):
    shutil.copy(EXAMPLE, place)
    shutil.copy(KAFKA_FILE, place)
    (tmp_path / "in.properties").write_text(
        f"name=copy\nconnector.class={FILE_SOURCE}\nfile={EXAMPLE.parent / 'no such file'}\ntopic=f\n")
    result, said = attempt(place, "--run", tmp_path / "in.properties", wanted={
        "ticks": {"config": {"connector.class": TICK, "connect.topicname": "t", "count": 300},
                  "records": 300},
        "lines": {"config": {"connector.class": LINE, "connect.topicnames": "t",
                             "file": str(tmp_path / "out.txt")}, "records": 300}})
    assert result.code == 0, result
    assert said["ticks"] == said["lines"] == ("ok", "run", "RUNNING, 300 records")
    assert said["copy"] == ("ok", "run", "RUNNING, 0 records")
    assert len((tmp_path / "out.txt").read_text().splitlines()) == 300


def test_what_does_not_run_says_why_and_the_rest_runs(place):
    shutil.copy(EXAMPLE, place)
    tick = {"connector.class": TICK, "connect.topicname": "t", "count": 5}
    result, said = attempt(place, "--set", "task.restart.max=1", "--patience", "30s", wanted={
        "good": {"config": tick, "records": 5}, "wrong": {**tick, "count": -1},
        "broken": {"config": {**tick, "fault": "poll-throw"}, "records": 1},
        "typo": {**tick, "connector.class": "com.example.connectors.TickSorce"}})
    assert result.code == 1
    assert said["good"] == ("ok", "run", "RUNNING, 5 records")
    for name, words in (("wrong", "count has to be"), ("broken", "the tick is broken"),
                        ("typo", "Did you mean 'TickSource'?")):
        assert said[name][0] == "FAIL" and words in said[name][2], result


def test_too_few_records_are_told(place):
    shutil.copy(EXAMPLE, place)
    _, said = attempt(place, "--patience", "2s", wanted={
        "few": {"config": {"connector.class": TICK, "connect.topicname": "t", "count": 5},
                "records": 6}})
    assert said["few"][0] == "FAIL" and said["few"][2].startswith("RUNNING, 5 of 6 records")


@pytest.mark.skipif(not shutil.which("javac"), reason="there is no JDK")
@pytest.mark.parametrize("library", [True, False])
def test_jars_side_by_side_need_their_library(place, library):
    conflicts.build(place, "alpha", "1.0", "first")
    shutil.move(place / "alpha/alpha.jar", place)
    if library:
        shutil.move(place / "alpha/words.jar", place)
    shutil.rmtree(place / "alpha")
    result, said = attempt(place, "--set", "task.restart.max=1", wanted={
        "words": {"config": {"connector.class": "alpha.AlphaSource", "connect.topicname": "t",
                             "count": 3}, "records": 3}})
    assert "words.jar" not in said, "a library is no plugin, and no refusal"
    if library:
        assert result.code == 0 and said["words"] == ("ok", "run", "RUNNING, 3 records"), result
    else:
        assert said["words"][0] == "FAIL" and "NoClassDefFoundError: org/shared/Words" in \
            said["words"][2] and "put the jar with that class" in said["words"][2], result


def test_an_empty_folder_is_a_failure(place):
    result, said = attempt(place)
    assert result.code == 1 and said["plugins"][:2] == ("FAIL", "folder")


@pytest.mark.parametrize("text,words", [
    ("[]", "must be an object: connectors by name"), ("{", "run.json:1:"),
    ('{"a": 1}', "'a' must be an object"), ('{"a": {}}', "connector 'a' has no 'connector.class'"),
    ('{"a": {"config": {"connector.class": "x", "list": [1]}}}', "key 'list' must be a text"),
    ('{"a": {"config": {"connector.class": "x"}, "records": "many"}}', "'records' must be a number"),
    ('{"a/b": {"connector.class": "x"}}', "a/b")])
def test_a_wrong_file_is_refused_with_the_key(place, text, words):
    file = place.parent / "run.json"
    file.write_text(text)
    result = run_program("plugin", "try", place, "--run", file)
    assert result.code == 3 and words in result.err, result
