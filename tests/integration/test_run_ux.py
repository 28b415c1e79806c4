# SPDX-License-Identifier: Apache-2.0
"""What a user of `run` and `plugin list` is told when things go wrong, and exact copies."""
import random
import signal
import subprocess
import time

import pytest
from conftest import BUILD, PROGRAM, wait_until

SO_FOLDER = BUILD / "tests/unit/plugin/so"

EXACT = """\
name: copy
source: {class: file-source, filename: in.txt, bounded: true, line.terminator: keep,
         long.lines: split}
sink: {class: file-sink, filename: out.txt, append.newline: false}
"""
FOLLOW = """\
name: copy
source: {class: file-source, filename: in.txt}
sink: {class: file-sink, filename: out.txt}
"""
MIB = 1 << 20


@pytest.mark.parametrize("limit", ["1MiB", "4032KiB", "7"])
@pytest.mark.parametrize("content", [
    b"", b"\r", b"no end", b"a\r\nb\n\r\n\r\r\nlast\r\n", random.Random(1).randbytes(300000),
    bytes(5 * MIB), b"x" * 5 * MIB + b"\r\ny\r",
], ids=["empty", "cr", "no newline", "mixed", "random", "zeros", "long"])
def test_any_file_is_copied_byte_for_byte(pipeline, content, limit):
    content = content if limit != "7" else content[:20000]
    pipeline.write(EXACT)
    pipeline.input.write_bytes(content)
    result = pipeline.run("--set", f"source.line.max.bytes={limit}")
    assert result.code == 0, result
    assert (pipeline.output.read_bytes() if pipeline.output.exists() else b"") == content


def test_an_exact_copy_goes_on_after_kill_9(pipeline):
    pipeline.write(EXACT)
    pipeline.input.write_bytes(random.Random(2).randbytes(30 * MIB))
    for part in (0.2, 0.6):
        process = pipeline.start("--progress", "none")
        wait_until("the point of the kill", lambda: process.poll() is not None or (
            pipeline.output.exists() and pipeline.output.stat().st_size >= 30 * MIB * part))
        process.kill()
        pipeline.finish(process)
    assert pipeline.run().code == 0
    assert pipeline.output.read_bytes() == pipeline.input.read_bytes()


def test_cut_lines_cannot_keep_their_ends(pipeline):
    pipeline.write(EXACT.replace("split", "truncate"))
    pipeline.input.write_bytes(b"x\n")
    result = pipeline.run()
    assert result.code == 3 and "line.terminator" in result.err, result


def test_a_source_that_fails_at_once_ends_the_run_at_once(pipeline):
    begun = time.monotonic()
    result = pipeline.run()
    assert time.monotonic() - begun < 5  # 0.1 s on an idle machine; restarts would take 15 s
    assert result.code == 1, result
    last = result.err.splitlines()[-1]
    assert last.startswith("error: source:") and "in.txt" in last and "Create it" in last
    assert result.out.splitlines()[-1].startswith("Next:")


def test_a_sink_that_fails_at_once_ends_the_run_at_once(pipeline):
    pipeline.input.write_bytes(b"x\n")
    result = pipeline.run("--set", "sink.filename=no-such-folder/out.txt")
    assert result.code == 1, result
    last = result.err.splitlines()[-1]
    assert last.startswith("error: sink:") and "no-such-folder" in last and "Create" in last


def test_what_a_failed_source_has_stored_is_still_delivered(pipeline):
    good = b"".join(b"line %d\n" % i for i in range(300000))
    pipeline.input.write_bytes(good + b"x" * (2 * MIB) + b"\nafter\n")
    result = pipeline.run()
    assert result.code == 1, result
    assert pipeline.output.read_bytes() == good
    assert "failed. 300,000 records" in result.out, result
    assert "line.max.bytes" in result.err.splitlines()[-1], result
    # The cause removed, it goes on behind them.
    result = pipeline.run("--set", "source.long.lines=skip")
    assert result.code == 0, result
    assert pipeline.output.read_bytes() == good + b"after\n"


def test_ctrl_c_twice_ends_at_once(pipeline):
    """The second signal comes while the first one drains; the loop hears it, and the run is over
    at once and can be gone on with."""
    pipeline.write(FOLLOW)
    pipeline.input.write_bytes(b"some line\n" * 2000000)
    process = pipeline.start("--progress", "none")
    wait_until("some output", lambda: pipeline.output.exists() and pipeline.output.stat().st_size)
    process.send_signal(signal.SIGINT)
    first = next(l for l in process.stderr if "draining" in l)
    assert "again" in first
    time.sleep(0.15)  # closer signals count as one
    process.send_signal(signal.SIGINT)
    code = pipeline.finish(process)
    # On a fast machine it has drained before the second signal.
    assert code in (0, 130), process.stderr_text
    if code == 130:
        assert "second signal" in process.stderr_text
    result = pipeline.run("--set", "source.bounded=true")
    assert result.code == 0, result
    assert pipeline.output.read_bytes() == pipeline.input.read_bytes()


def test_a_doubled_signal_is_one(pipeline):
    """timeout(1) signals its child and then its group, so the child hears of it twice."""
    pipeline.write(FOLLOW)
    pipeline.input.write_bytes(b"some line\n" * 1000000)
    result = subprocess.run(["timeout", "1", str(PROGRAM), "run", "copy.yaml"],
                            cwd=pipeline.folder, capture_output=True, text=True, timeout=60,
                            check=False)
    assert "draining" in result.stderr and "second signal" not in result.stderr, result
    assert "stopped as asked" in result.stdout, result
    assert "not yet in the sink" not in result.stdout, result
    assert pipeline.input.read_bytes().startswith(pipeline.output.read_bytes())


def test_progress_is_plain_lines_when_piped(pipeline):
    pipeline.write(FOLLOW)
    pipeline.input.write_bytes(b"one\ntwo\n")
    process = subprocess.Popen([str(PROGRAM), "run", "copy.yaml"], cwd=pipeline.folder, text=True,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)
    pipeline.processes.append(process)
    # After 2 s. A busy machine may have no inotify left, which is told before.
    line = next(l for l in process.stderr if " records " in l)
    process.send_signal(signal.SIGINT)
    assert pipeline.finish(process) == 0
    assert "2 records" in line, line
    assert "\r" not in line + process.stderr_text and "\x1b" not in line + process.stderr_text


def test_no_progress_when_asked_for_none(pipeline):
    pipeline.input.write_bytes(b"one\n")
    result = pipeline.run("--progress", "none")
    assert result.code == 0 and result.err == "", result
    assert "1 record," in result.out


def test_refused_plugins_are_told_once(pipeline):
    pipeline.input.write_bytes(b"x\n")
    result = pipeline.run("--set", f"worker.pluginPaths={SO_FOLDER / 'major2.so'}")
    assert result.code == 0, result
    assert result.err.count("major2.so' is not loaded") == 1, result


def test_plugin_list_shows_what_was_refused_and_why(cli, make_worker):
    file = SO_FOLDER / "major2.so"
    worker = make_worker(pluginPaths=file).start()
    for where in (("--path", file), ("--url", worker.url)):
        result = cli("plugin", "list", *where)
        assert result.code == 0, result
        below = result.out[result.out.index("REFUSED"):]
        assert str(file) in below and "ABI 2.0" in below, result
        lists = cli("plugin", "list", "--json", *where).json
        assert lists["refused"][0]["location"] == str(file)
        assert "ABI 2.0" in lists["refused"][0]["error"]
        assert any(p["name"] == "file-source" for p in lists["plugins"])
    assert "REFUSED" not in cli("plugin", "list", "--path", SO_FOLDER / "older.so").out


def test_a_plugin_path_that_does_not_exist_is_named_as_given(cli, tmp_path):
    result = cli("plugin", "list", "--path", tmp_path / "none")
    assert result.code == 5 and result.err.startswith("error: --path '"), result


@pytest.mark.parametrize("text, words", [
    ("source:\n\tclass: file-source\n", ["copy.yaml:2:", "spaces, not tabs"]),
    ("source:\n  class: file-source\n filename: in\n", ["copy.yaml:3:", "same column"]),
    ("source: {class: file-source, filename: in}\n", ["'sink' needs a class", "sink: {class:"]),
], ids=["tab", "column", "no sink"])
def test_mistakes_of_yaml_are_explained(pipeline, text, words):
    pipeline.write(text)
    result = pipeline.run()
    assert result.code == 3, result
    for word in words:
        assert word in result.err, result


@pytest.mark.parametrize("args", [
    ("connector", "create", "x"), ("connector", "create", "x", "novalue"),
    ("connector", "pause", "x", "--timeout", "soon"), ("standalone", "--set", "httpPort"),
    ("docs", "poetry"), ("connector",), ("run",),
], ids=" ".join)
def test_a_wrong_command_line_is_exit_2_and_nothing_is_asked(cli, args):
    result = cli(*args)
    assert result.code == 2 and "rocketmq-connect" in result.err, result


def test_an_offline_check_names_the_file(cli, tmp_path):
    file = tmp_path / "w.properties"
    file.write_text("htpPort=1\n")
    result = cli("validate", file)
    assert result.code == 3 and result.err.startswith(f"error: {file}: "), result
    assert "httpPort" in result.err


def test_creating_twice_says_how_to_change(cli, make_worker, tmp_path):
    worker = make_worker().start()
    create = ("connector", "create", "a", "connector.class=file-source", "connect.topicname=t",
              f"filename={tmp_path / 'in'}", "--url", worker.url)
    assert cli(*create).code == 0
    result = cli(*create)
    assert result.code == 6 and "--replace" in result.err, result
    assert cli(*create, "--replace").code == 0
