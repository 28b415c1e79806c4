# SPDX-License-Identifier: Apache-2.0
"""Commands that talk to a worker, and what their exit codes say:
0 ok, 1 failed, 2 usage, 3 configuration, 4 unreachable, 5 not found, 6 conflict."""
import json
import socket

import pytest
from conftest import FILE_SINK, FILE_SOURCE


@pytest.fixture
def connector(worker, cli):
    """connector("list", ...) on a running worker."""
    def call(*args):
        return cli("connector", *args, "--url", worker.url)
    return call


@pytest.fixture
def tail(worker, connector):
    (worker.folder / "in.txt").write_text("one\ntwo\n")
    result = connector("create", "tail", f"connector.class={FILE_SOURCE}",
                       f"filename={worker.folder}/in.txt", "connect.topicname=t", "--wait")
    assert result.code == 0, result
    return "tail"


def closed_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def test_a_connector_from_create_to_delete(worker, connector, tail):
    result = connector("list")
    assert result.code == 0 and "tail" in result.out and "RUNNING" in result.out
    assert FILE_SOURCE in connector("get", tail).out
    for verb, state in (("pause", "PAUSED"), ("resume", "RUNNING"), ("stop", "STOPPED"),
                        ("resume", "RUNNING"), ("restart", "RUNNING")):
        result = connector(verb, tail, "--wait")
        assert result.code == 0, result
        assert worker.status(tail)["connector"]["state"] == state, verb
    assert connector("status", tail).code == 0
    assert connector("delete", tail).code == 0
    assert connector("status", tail).code == 5
    assert "tail" not in connector("list").out


def test_json_is_what_the_worker_says(worker, connector, tail):
    assert connector("status", tail, "--json").json["name"] == tail
    assert connector("get", tail, "--json").json["config"]["connect.topicname"] == "t"
    assert tail in connector("list", "--json").json


def test_create_from_files(worker, connector, tmp_path):
    config = {"connector.class": FILE_SINK, "filename": str(tmp_path / "out.txt"),
              "connect.topicnames": "t"}
    (tmp_path / "sink.json").write_text(json.dumps(config))
    (tmp_path / "sink.properties").write_text("".join(f"{k}={v}\n" for k, v in config.items()))
    assert connector("create", "a", "--file", tmp_path / "sink.json", "--wait").code == 0
    result = connector("create", "b", "--file", tmp_path / "sink.properties",
                       f"filename={tmp_path}/b.txt", "--wait")
    assert result.code == 0, result
    assert connector("get", "b", "--json").json["config"]["filename"] == f"{tmp_path}/b.txt"


def test_offsets_are_shown_and_forgotten(worker, connector, tail):
    assert connector("offsets", tail).code == 0
    result = connector("offsets", tail, "--reset")
    assert result.code == 6, result  # it runs
    assert connector("stop", tail, "--wait").code == 0
    assert connector("offsets", tail, "--reset").code == 0


def test_exit_1_when_a_connector_fails(worker, connector, tmp_path):
    result = connector("create", "append", f"connector.class={FILE_SINK}",
                       f"filename={tmp_path}/none/out.txt", "connect.topicnames=t", "--wait",
                       "--timeout", "10s")
    assert result.code == 1, result
    assert "FAILED" in result.err and "none" in result.err


@pytest.mark.parametrize("args", [
    ["nonsense"], ["connector"], ["connector", "status"], ["connector", "list", "--nonsense"],
    ["connector", "list", "extra"], ["run"], ["standalone", "-c"], ["docs", "nonsense"],
], ids=" ".join)
def test_exit_2_for_wrong_usage(cli, args):
    result = cli(*args)
    assert result.code == 2 and result.err, result
    assert not result.out, result


def test_exit_2_without_a_command_and_it_says_what_there_is(cli):
    result = cli()
    assert result.code == 2 and "connector create" in result.err


def test_a_misspelt_command_is_corrected(cli):
    assert "did you mean 'standalone'" in cli("standalon").err
    assert "did you mean '--url'" in cli("connector", "list", "--ulr", "x").err


def test_exit_3_when_the_configuration_is_refused(worker, connector, cli, tmp_path):
    assert connector("create", "x", "no-equals-sign").code == 2  # that is the command line
    result = connector("create", "x", f"connector.class={FILE_SOURCE}", "filname=a",
                       "connect.topicname=t")
    assert result.code == 3 and "filename" in result.err, result
    assert connector("validate", f"connector.class={FILE_SOURCE}", "filname=a").code == 3
    (tmp_path / "w.conf").write_text("httpPrt=1\n")
    result = cli("standalone", "-c", tmp_path / "w.conf")
    assert result.code == 3 and "did you mean 'httpPort'" in result.err, result
    result = cli("validate", tmp_path / "w.conf")
    assert result.code == 3 and "httpPort" in result.out + result.err, result
    result = cli("standalone", "-c", tmp_path / "none.conf")
    assert result.code == 3 and "none.conf" in result.err, result


def test_config_strict_false_warns_and_goes_on(make_worker):
    worker = make_worker(**{"httpPrt": "1", "config.strict": "false"}).start()
    assert "httpPrt" in worker.said and worker.stop() == 0


def test_exit_4_when_no_name_server_answers(cli, tmp_path):
    address = f"127.0.0.1:{closed_port()}"
    (tmp_path / "w.conf").write_text(
        f"namesrvAddr={address}\nstorePathRootDir={tmp_path}/store\nhttpPort=0\n"
        "log.wait.max=500ms\n")
    result = cli("standalone", "-c", tmp_path / "w.conf")
    assert result.code == 4 and address in result.err, result


def test_exit_4_when_no_worker_answers(cli):
    result = cli("connector", "list", "--url", f"http://127.0.0.1:{closed_port()}")
    assert result.code == 4 and "127.0.0.1" in result.err, result


@pytest.mark.parametrize("verb", ["get", "status", "pause", "resume", "restart", "stop", "delete",
                                  "offsets"])
def test_exit_5_for_an_unknown_connector(connector, verb):
    result = connector(verb, "nobody")
    assert result.code == 5 and "nobody" in result.err, result


def test_exit_6_when_it_exists(worker, connector, tail):
    result = connector("create", tail, f"connector.class={FILE_SOURCE}",
                       f"filename={worker.folder}/other.txt", "connect.topicname=t")
    assert result.code == 6 and tail in result.err, result
    (worker.folder / "other.txt").write_text("")
    result = connector("create", tail, f"connector.class={FILE_SOURCE}", "--replace",
                       f"filename={worker.folder}/other.txt", "connect.topicname=t", "--wait")
    assert result.code == 0, result


def test_plugins_without_a_worker(cli):
    result = cli("plugin", "list")
    assert result.code == 0 and FILE_SOURCE in result.out and "regex-router" in result.out
    classes = {p["class"] for p in cli("plugin", "list", "--json").json["plugins"]}
    assert {FILE_SOURCE, FILE_SINK} <= classes
    result = cli("plugin", "describe", "file-source")
    assert result.code == 0 and "filename" in result.out
    assert cli("plugin", "describe", "nothing").code == 5


def test_validate_a_pipeline_offline(pipeline, cli):
    assert cli("validate", "copy.yaml", cwd=pipeline.folder).code == 0
    pipeline.write(pipeline.file.read_text().replace("bounded: true", "bounded: perhaps"))
    result = cli("validate", "copy.yaml", cwd=pipeline.folder)
    assert result.code == 3 and "copy.yaml:2:" in result.out + result.err
    assert not (pipeline.folder / "copy.rc").exists()


def test_help_and_version(cli):
    for args in (["help"], ["--help"], ["connector", "create", "--help"], ["help", "run"],
                 ["version"], ["--version"]):
        result = cli(*args)
        assert result.code == 0 and result.out and not result.err, args


def test_a_second_worker_on_the_folder_is_refused(worker, cli):
    conf = worker.folder / "second.conf"
    conf.write_text(f"httpPort=0\nstorePathRootDir={worker.folder}/store\n")
    result = cli("standalone", "-c", conf)
    assert result.code == 6 and str(worker.folder) in result.err, result


def test_a_used_port_is_named(worker, cli, tmp_path):
    conf = tmp_path / "second.conf"
    conf.write_text(f"httpPort={worker.port}\nstorePathRootDir={tmp_path}/second\n")
    result = cli("standalone", "-c", conf)
    assert result.code not in (0, 2) and str(worker.port) in result.err, result
