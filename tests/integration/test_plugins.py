# SPDX-License-Identifier: Apache-2.0
"""Plugins from .so files, good ones and ones that misbehave."""
import pytest
from conftest import BUILD, wait_until

TROUBLE = BUILD / "tests/plugins/trouble.so"
TEMPLATE = BUILD / "connectors/template.so"
SO_FOLDER = BUILD / "tests/unit/plugin/so"


@pytest.fixture
def trouble(make_worker):
    """A worker with trouble.so and short limits."""
    return make_worker(pluginPaths=TROUBLE, maxStopTimeoutMills=1500, maxStartTimeoutMills=1500,
                       **{"task.restart.delay": "20ms", "task.restart.delay.max": "50ms"}).start()


def source(worker, name="bad", **keys):
    return worker.create(name, connector__class="trouble-source", connect__topicname="t", **keys)


def sink(worker, path, name="sink", **keys):
    return worker.create(name, connector__class="trouble-sink", connect__topicnames="t",
                         path=str(path), **keys)


def lives(worker):
    return worker.get("/health").status == 200 and worker.process.poll() is None


def test_a_stop_that_never_returns_is_stuck_and_the_worker_lives(trouble):
    assert source(trouble, block="stop", count="10", finish="false").status == 200
    trouble.wait_state("bad", "RUNNING")
    assert trouble.request("PUT", "/api/v1/connectors/bad/stop").status in (202, 204)
    wait_until("STUCK", lambda: "STUCK" in trouble.get("/api/v1/connectors/bad/status").text)
    # The worker goes on: other connectors start and move records.
    out = trouble.folder / "out.txt"
    assert source(trouble, "good", count="50", text="fine").status == 200
    assert sink(trouble, out).status == 200
    wait_until("50 records", lambda: out.exists() and out.read_text().count("fine-") == 50)
    assert lives(trouble)
    assert trouble.stop() == 1  # and it says that a task was left behind
    assert "did not end in time" in trouble.said


@pytest.mark.parametrize("call", ["poll", "start", "init"])
def test_a_task_that_never_returns_does_not_hold_up_the_worker(trouble, call):
    assert source(trouble, block=call).status == 200
    assert source(trouble, "good", count="5").status == 200
    trouble.wait_state("good", "FINISHED", "RUNNING")
    assert lives(trouble)


@pytest.mark.parametrize("call", ["start", "poll"])
def test_a_failing_call_is_shown_with_its_text(trouble, call):
    assert source(trouble, fail=call, **{"fail__times": "-1", "fail__fatal": "true",
                                         "fail__text": "no luck today"}).status == 200
    wait_until("FAILED", lambda: "FAILED" in trouble.get("/api/v1/connectors/bad/status").text)
    assert "no luck today" in trouble.get("/connectors/bad/status").text
    assert lives(trouble)


def test_a_task_that_fails_twice_is_restarted(trouble):
    out = trouble.folder / "out.txt"
    assert source(trouble, fail="start", count="20", fail__times="2",
                  fail__retriable="true").status == 200
    assert sink(trouble, out).status == 200
    wait_until("20 records", lambda: out.exists() and out.read_text().count("\n") == 20)


def test_after_a_crash_in_a_plugin_the_worker_starts_without_it(trouble):
    out = trouble.folder / "out.txt"
    assert sink(trouble, out).status == 200
    assert source(trouble, crash="poll", after="200", count="300", batch="50",
                  interval="10").status == 200
    wait_until("the crash", lambda: trouble.process.poll() is not None)
    assert trouble.process.returncode < 0
    # In its process the plugin takes the worker along; without it the worker starts again.
    trouble.configure(pluginPaths="")
    trouble.start()
    assert lives(trouble)
    assert set(trouble.get("/connectors/list").body) == {"bad", "sink"}
    wait_until("FAILED with the missing class",
               lambda: "trouble-source" in trouble.get("/connectors/bad/status").text)


@pytest.mark.parametrize("file, words", [
    ("crash", ["while loading"]), ("exits", ["exit"]), ("major2", ["ABI"]), ("no_symbol", ["omc_plugin"]),
    ("needs_symbol", ["symbol"]), ("wrong_size", ["size"]),
])
def test_a_file_that_cannot_be_loaded_is_refused_by_name(make_worker, file, words):
    worker = make_worker(pluginPaths=SO_FOLDER / f"{file}.so").start()
    assert f"{file}.so" in worker.said
    line = next(l for l in worker.said.splitlines() if f"{file}.so" in l)
    for word in words:
        assert word in line, line
    assert lives(worker)


def test_the_template_moves_records(make_worker, cli):
    worker = make_worker(pluginPaths=TEMPLATE).start()
    result = cli("plugin", "list", "--url", worker.url)
    assert "template-source" in result.out and "template-sink" in result.out, result


def test_probe_shows_what_is_in_a_file(cli):
    result = cli("plugin", "probe", TEMPLATE)
    assert result.code == 0 and "template-source" in result.out
    result = cli("plugin", "probe", BUILD / "no-such.so")
    assert result.code != 0 and "no-such.so" in result.out + result.err


def test_a_folder_of_native_plugins_is_tried(cli, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    (tmp_path / "broken.so").write_text("no library")
    (tmp_path / "trouble.so").symlink_to(TROUBLE)
    (tmp_path / "good.properties").write_text(
        "connector.class=trouble-source\nconnect.topicname=t\ncount=50\n")
    (tmp_path / "bad.properties").write_text(
        "connector.class=trouble-source\nconnect.topicname=t\nfail=poll\nfail.times=-1\n"
        "fail.fatal=true\nfail.text=no luck today\n")
    result = cli("plugin", "try", tmp_path, "--stay", "0s", "--run", tmp_path / "good.properties",
                 "--run", tmp_path / "bad.properties")
    assert result.code == 1
    for words in (f"FAIL  file       {tmp_path}/broken.so: ", "ok    source     ",
                  "ok    run        good: FINISHED, 50 records\n", "FAIL  run        bad: FAILED, ",
                  "no luck today", "1 of 2 connectors run, 0 warnings, 2 failures"):
        assert words in result.out, result
    assert not list(tmp_path.glob("plugin-try-*")), "its state is removed"
