# SPDX-License-Identifier: Apache-2.0
"""`rocketmq-connect run`: a pipeline file from its first run to its last."""
import random
import signal

import pytest
from conftest import wait_until


def random_lines(count, seed=7):
    rng = random.Random(seed)
    return b"".join(b"%d %s\n" % (i, bytes(rng.choices(range(32, 127), k=rng.randint(0, 200))))
                    for i in range(count))


def test_a_file_is_copied_exactly(pipeline):
    pipeline.input.write_bytes(random_lines(20000))
    result = pipeline.run()
    assert result.code == 0, result
    assert pipeline.output.read_bytes() == pipeline.input.read_bytes()
    assert "20,000 records" in result.out


@pytest.mark.parametrize("content", [
    b"", b"\n", b"\n\n\n", b"one line\n", b"\xff\xfe\x00\x80 not UTF-8\n", b"nul \x00 inside\n",
    "Füße 字 \U0001f600\n".encode(), b"x" * 300000 + b"\n", b"tab\tand \r inside\n",
], ids=["empty", "newline", "newlines", "one", "binary", "nul", "utf8", "long", "controls"])
def test_bytes_are_kept(pipeline, content):
    pipeline.input.write_bytes(content)
    result = pipeline.run()
    assert result.code == 0, result
    assert (pipeline.output.read_bytes() if pipeline.output.exists() else b"") == content


def test_a_last_line_without_newline_counts(pipeline):
    pipeline.input.write_bytes(b"first\nlast")
    assert pipeline.run().code == 0
    assert pipeline.output.read_bytes() == b"first\nlast\n"


@pytest.mark.parametrize("content", [b"a\r\nb\n\r\nlast", b"no end", b"\n\r\n", b"x" * 3000000],
                         ids=["mixed", "none", "empty lines", "long"])
def test_line_ends_are_kept_on_request(pipeline, content):
    pipeline.write("""\
name: copy
source: {class: file-source, filename: in.txt, bounded: true, line.terminator: keep, long.lines: split}
sink: {class: file-sink, filename: out.txt, append.newline: false}
""")
    pipeline.input.write_bytes(content)
    result = pipeline.run()
    assert result.code == 0, result
    assert pipeline.output.read_bytes() == content


def test_a_second_run_finds_nothing_new(pipeline):
    pipeline.input.write_bytes(random_lines(100))
    assert pipeline.run().code == 0
    result = pipeline.run()
    assert result.code == 0 and "nothing new" in result.out
    assert pipeline.output.read_bytes() == pipeline.input.read_bytes()


def test_a_later_run_copies_what_was_added(pipeline):
    pipeline.input.write_bytes(random_lines(100))
    assert pipeline.run().code == 0
    with open(pipeline.input, "ab") as file:
        file.write(b"more\n" * 5)
    result = pipeline.run()
    assert result.code == 0 and "5 records" in result.out, result
    assert pipeline.output.read_bytes() == pipeline.input.read_bytes()


def test_restart_begins_from_the_beginning(pipeline):
    pipeline.input.write_bytes(random_lines(100))
    assert pipeline.run().code == 0
    pipeline.output.unlink()
    result = pipeline.run("--restart")
    assert result.code == 0, result
    assert pipeline.output.read_bytes() == pipeline.input.read_bytes()


def test_set_overrides_a_key(pipeline):
    pipeline.input.write_bytes(b"x\n")
    result = pipeline.run("--set", "sink.filename=other.txt")
    assert result.code == 0, result
    assert (pipeline.folder / "other.txt").read_bytes() == b"x\n"
    assert not pipeline.output.exists()


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "term"])
def test_ctrl_c_drains(pipeline, sig):
    pipeline.write(pipeline.file.read_text().replace(", bounded: true", ""))
    pipeline.input.write_bytes(random_lines(50000))
    process = pipeline.start()
    wait_until("some output", lambda: pipeline.output.exists() and pipeline.output.stat().st_size)
    process.send_signal(sig)
    assert pipeline.finish(process) == 0, process.stderr_text
    assert "draining" in process.stderr_text and "stopped as asked" in process.stdout_text
    done = pipeline.output.read_bytes()
    assert pipeline.input.read_bytes().startswith(done) and done.endswith(b"\n")
    # The next run goes on where this one stopped.
    pipeline.write()
    result = pipeline.run("--set", "source.bounded=true")
    assert result.code == 0, result
    assert pipeline.output.read_bytes() == pipeline.input.read_bytes()


def test_an_unbounded_pipeline_follows_the_file(pipeline):
    pipeline.write(pipeline.file.read_text().replace(", bounded: true", ""))
    pipeline.input.write_bytes(b"one\n")
    process = pipeline.start()
    wait_until("one", lambda: pipeline.output.exists() and
               pipeline.output.read_bytes() == b"one\n")
    with open(pipeline.input, "ab") as file:
        file.write(b"two\n")
    wait_until("two", lambda: pipeline.output.read_bytes() == b"one\ntwo\n")
    process.send_signal(signal.SIGINT)
    assert pipeline.finish(process) == 0


def test_kill_9_leaves_no_line_lost_or_twice(pipeline):
    pipeline.input.write_bytes(random_lines(200000))
    size = pipeline.input.stat().st_size
    for part in (0.1, 0.4, 0.7):
        process = pipeline.start("--progress", "none")
        wait_until("the point of the kill", lambda: process.poll() is not None or (
            pipeline.output.exists() and pipeline.output.stat().st_size >= size * part))
        process.kill()
        pipeline.finish(process)
    result = pipeline.run()
    assert result.code == 0, result
    assert pipeline.output.read_bytes() == pipeline.input.read_bytes()


def test_a_transform_changes_what_arrives(pipeline):
    pipeline.write("""\
name: copy
source: {class: file-source, filename: in.txt, bounded: true}
transforms:
  - {name: drop, class: set-null-value}
sink: {class: file-sink, filename: out.txt, null.value: empty}
""")
    pipeline.input.write_bytes(b"a\nb\n")
    result = pipeline.run()
    assert result.code == 0, result
    assert pipeline.output.read_bytes() == b"\n\n"


@pytest.mark.parametrize("text, words", [
    ("name: [", ["copy.yaml:"]),
    ("name: copy\n", ["source"]),
    ("name: copy\nsource: {class: nope}\nsink: {class: file-sink, filename: o}\n",
     ["copy.yaml:2:", "nope"]),
    ("name: copy\nsource: {class: file-source, filname: a}\n"
     "sink: {class: file-sink, filename: o}\n", ["copy.yaml:2:", "filname", "did you mean"]),
    ("name: copy\nsource: {class: file-source, filename: a, bounded: perhaps}\n"
     "sink: {class: file-sink, filename: o}\n", ["copy.yaml:2:", "bounded", "perhaps"]),
    ("name: copy\nsource: {class: file-source, filename: a}\n"
     "sink: {class: file-sink, filename: o}\nsinc: {}\n", ["copy.yaml:4:", "sinc"]),
    ("name: copy\nname: copy\n", ["copy.yaml:2:"]),
], ids=["syntax", "no source", "class", "key", "value", "section", "twice"])
def test_a_wrong_file_is_refused_with_line_and_cure(pipeline, text, words):
    pipeline.write(text)
    result = pipeline.run()
    assert result.code == 3, result
    for word in words:
        assert word in result.err, result
    assert not pipeline.output.exists()


def test_a_missing_file_is_a_configuration_error(pipeline, cli):
    result = cli("run", "none.yaml", cwd=pipeline.folder)
    assert result.code == 3 and "none.yaml" in result.err


def test_a_missing_source_file_fails_with_the_reason(pipeline):
    result = pipeline.run()
    assert result.code == 1, result
    assert "in.txt" in result.err and "Next:" in result.out


def test_two_runs_of_one_pipeline_do_not_mix(pipeline):
    pipeline.write(pipeline.file.read_text().replace(", bounded: true", ""))
    pipeline.input.write_bytes(b"one\n")
    process = pipeline.start()
    wait_until("one", lambda: pipeline.output.exists() and pipeline.output.stat().st_size)
    second = pipeline.run()
    assert second.code != 0 and "copy.rc" in second.err, second
    process.send_signal(signal.SIGINT)
    assert pipeline.finish(process) == 0
    assert pipeline.output.read_bytes() == b"one\n"
