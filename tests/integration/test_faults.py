# SPDX-License-Identifier: Apache-2.0
"""Kills, power cuts and trouble at small counts; scripts/show/copy-kills and copy-trouble are the
same at full size. Every copy must equal its input: no line lost, none twice."""
import os
import pathlib
import random
import subprocess
import sys

import pytest
from conftest import FILE_SINK, FILE_SOURCE, PROGRAM, wait_until

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "faults"))
os.environ["SHOW_BIN"] = str(PROGRAM)
import kit  # noqa: E402


@pytest.fixture(scope="module")
def shim():
    return kit.build_shim()


@pytest.fixture
def folder(tmp_path_factory):
    """On a disk file system, where a file that was removed can be kept under another name."""
    return tmp_path_factory.mktemp("copy")


class Mounts:
    """Small file systems, gone after the test."""

    def __init__(self):
        self.all = []

    def __call__(self, path, size):
        path.mkdir(parents=True)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path)],
                              capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"no permission to mount: {done.stderr}")
        self.all.append(path)
        return path

    @staticmethod
    def grow(path):
        subprocess.run(["mount", "-o", "remount,size=1g", str(path)], check=True)


@pytest.fixture
def mount_small():
    mounts = Mounts()
    yield mounts
    for path in mounts.all:
        subprocess.run(["umount", "-l", str(path)], check=False)


def copied(copy, count, kills, seed):
    kit.make_lines(copy.input, count, seed)
    try:
        ok, text = kit.copy_with_kills(copy, count, kills, random.Random(seed))
    finally:
        if copy.process and copy.process.poll() is None:
            copy.process.kill()
            copy.process.wait()
    assert ok, f"{text}\n{copy.last_words()}"


@pytest.mark.parametrize("kind", [kit.RunCopy, kit.WorkerCopy])
def test_kills_lose_and_repeat_nothing(folder, kind):
    copied(kind(folder / "c"), 100000, 4, 1)


@pytest.mark.parametrize("kind", [kit.RunCopy, kit.WorkerCopy])
def test_power_cuts_lose_and_repeat_nothing(folder, shim, kind):
    if b"__asan_init" in PROGRAM.read_bytes() or b"__tsan_init" in PROGRAM.read_bytes():
        return  # a sanitizer and the shim both want to be the first library
    copied(kind(folder / "c", shim=shim), 40000, 4, 2)


def test_kills_while_segments_are_begun(folder):
    copied(kit.WorkerCopy(folder / "c", segment_bytes="256KiB"), 100000, 6, 3)


def test_a_stop_on_a_full_log_comes_back_exact(folder, mount_small):
    """A log that cannot store says so, lets the worker stop, and later goes on exactly."""
    copy = kit.WorkerCopy(folder / "c", segment_bytes="1MiB")
    kit.make_lines(copy.input, 100000, 4)
    log = mount_small(copy.folder / "store" / "log", "8m")

    def state():
        return (copy.status("src")["tasks"] or [{}])[0]
    copy.start()
    wait_until("STALLED", lambda: state().get("state") == "STALLED")
    assert "no space left" in state()["trace"] and str(log) in state()["trace"]
    copy.request("POST", "/api/v1/connectors/dst/restart")
    copy.request("POST", "/api/v1/connectors/src/restart")
    wait_until("STALLED again", lambda: state().get("state") == "STALLED")
    copy.stop()
    mount_small.grow(log)
    copy.start()
    wait_until("the end", copy.finished)
    copy.stop()
    ok, text = copy.check(100000)
    assert ok, text


def test_a_source_that_comes_back_is_not_read_again(make_worker, tmp_path):
    worker = make_worker().start()
    source, target, away = tmp_path / "in.txt", tmp_path / "out.txt", tmp_path / "elsewhere"
    source.write_text("one\ntwo\n")
    worker.create("src", connector__class=FILE_SOURCE, filename=str(source),
                  connect__topicname="t")
    worker.create("dst", connector__class=FILE_SINK, filename=str(target), connect__topicnames="t")
    wait_until("two lines", lambda: target.exists() and target.read_text() == "one\ntwo\n")
    worker.stop()
    source.rename(away)
    worker.start()
    wait_until("the wait to be told", lambda: "waiting for it" in worker.said)
    with open(away, "a") as file:
        file.write("three\n")
    away.rename(source)
    wait_until("the third line", lambda: target.read_text().endswith("three\n"))
    assert target.read_text() == "one\ntwo\nthree\n"


def test_a_record_that_fails_the_task_comes_again(pipeline):
    """Its position must not be noted with what was polled before it."""
    pipeline.input.write_text("one\ntwo\nthree\n")
    good = pipeline.file.read_text()
    pipeline.write(good.replace("bounded: true", "bounded: true, value.converter: int32"))
    result = pipeline.run()
    assert result.code == 1 and "expected a number" in result.err, result
    pipeline.write(good)
    assert pipeline.run().code == 0
    assert pipeline.output.read_text() == "one\ntwo\nthree\n"


def test_a_line_end_in_two_writes_is_one(make_worker, tmp_path):
    worker = make_worker().start()
    source, target = tmp_path / "in.txt", tmp_path / "out.txt"
    source.write_bytes(b"one\r\ntwo\r")
    worker.create("dst", connector__class=FILE_SINK, filename=str(target), connect__topicnames="t")
    worker.create("src", connector__class=FILE_SOURCE, filename=str(source),
                  connect__topicname="t")
    wait_until("one line", lambda: target.exists() and target.read_bytes() == b"one\n")
    with open(source, "ab") as file:
        file.write(b"\nthree\n")
    wait_until("three lines", lambda: target.read_bytes().endswith(b"three\n"))
    assert target.read_bytes() == b"one\ntwo\nthree\n"
