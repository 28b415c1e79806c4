# SPDX-License-Identifier: Apache-2.0
"""The Java runtime's routes, with connectors that move real lines."""
from conftest import FILE_SINK, FILE_SOURCE, wait_until


def lines(first, count):
    return "".join(f"line {i} with some text\n" for i in range(first, first + count))


def append(path, text):
    with open(path, "a", encoding="utf-8") as file:
        file.write(text)


def text_of(path):
    return path.read_text("utf-8") if path.exists() else ""


class Copy:
    """A source that tails in.txt and a sink that appends to out.txt."""

    def __init__(self, worker):
        self.worker = worker
        self.input = worker.folder / "in.txt"
        self.output = worker.folder / "out.txt"
        self.input.write_text("")

    def create(self):
        w = self.worker
        assert w.create("tail", connector__class=FILE_SOURCE, filename=str(self.input),
                        connect__topicname="lines").status == 200
        assert w.create("append", connector__class=FILE_SINK, filename=str(self.output),
                        connect__topicnames="lines").status == 200
        w.wait_state("tail", "RUNNING")
        w.wait_state("append", "RUNNING")
        return self

    def wait_copied(self):
        wanted = self.input.read_text()
        wait_until("the copy to be whole", lambda: len(text_of(self.output)) >= len(wanted))
        assert text_of(self.output) == wanted


def test_an_empty_worker_answers_like_java(worker):
    assert worker.get("/connectors/list").json == {"status": 200, "body": {}}
    assert worker.get("/allocated/connectors").json == {"status": 200, "body": {}}
    assert worker.get("/allocated/tasks").json["body"] == {
        "pendingTasks": [], "stoppedTasks": [], "errorTasks": [], "stoppingTasks": [],
        "runningTasks": []}
    assert worker.get("/connectors/stop/all").body == \
        "No connector needs to be deleted, please add connector first"
    assert worker.get("/connectors/pause/all").body == \
        "No connector needs to be paused, please add connector first"
    assert len(worker.get("/getClusterInfo").body) == 1
    assert worker.get("/nosuch").status == 404


def test_lines_move_while_the_file_grows(worker):
    copy = Copy(worker).create()
    append(copy.input, lines(0, 1000))
    copy.wait_copied()
    append(copy.input, lines(1000, 10))
    copy.wait_copied()
    status = worker.get("/connectors/tail/status").body
    assert status["name"] == "tail" and status["type"] == "SOURCE"
    assert status["connector"]["state"] == "RUNNING"
    assert [t["state"] for t in status["tasks"]] == ["RUNNING"]
    assert set(worker.get("/connectors/list").body) == {"tail", "append"}
    assert worker.get("/connectors/append/config").body["config"]["filename"] == str(copy.output)


def test_pause_holds_lines_and_resume_lets_them_go(worker):
    copy = Copy(worker).create()
    append(copy.input, lines(0, 10))
    copy.wait_copied()
    assert worker.get("/connectors/append/pause").status == 200
    worker.wait_state("append", "PAUSED")
    before = text_of(copy.output)
    append(copy.input, lines(10, 10))
    # The source goes on: its lines are in the log before the sink is looked at.
    wait_until("the source to read on", lambda: str(copy.input.stat().st_size) in
               worker.get("/api/v1/connectors/tail/offsets").text)
    assert text_of(copy.output) == before
    assert worker.get("/connectors/append/resume").status == 200
    copy.wait_copied()


def test_stop_deletes_as_in_java_and_a_new_one_goes_on(worker):
    copy = Copy(worker).create()
    append(copy.input, lines(0, 100))
    copy.wait_copied()
    assert worker.get("/connectors/append/stop").status == 200
    wait_until("it to be gone", lambda: worker.get("/connectors/append/status").status == 404)
    assert set(worker.get("/connectors/list").body) == {"tail"}
    append(copy.input, lines(100, 100))
    copy.create_sink = worker.create("append", connector__class=FILE_SINK,
                                     filename=str(copy.output), connect__topicnames="lines")
    copy.wait_copied()


def test_connectors_and_positions_survive_a_restart(worker):
    copy = Copy(worker).create()
    append(copy.input, lines(0, 5000))
    copy.wait_copied()
    worker.restart()
    assert set(worker.get("/connectors/list").body) == {"tail", "append"}
    worker.wait_state("tail", "RUNNING")
    append(copy.input, lines(5000, 5))
    copy.wait_copied()


def test_a_killed_worker_leaves_no_line_twice(worker):
    copy = Copy(worker).create()
    for round_ in range(5):
        append(copy.input, lines(round_ * 2000, 2000))
        if round_ % 2:
            wait_until("some of it", lambda: text_of(copy.output))
        worker.kill()
        worker.start()
    copy.wait_copied()


def test_a_paused_connector_is_paused_after_a_restart(worker):
    copy = Copy(worker).create()
    assert worker.get("/connectors/tail/pause").status == 200
    worker.wait_state("tail", "PAUSED")
    worker.restart()
    worker.wait_state("tail", "PAUSED")
    append(copy.input, lines(0, 3))
    assert worker.get("/connectors/tail/resume").status == 200
    copy.wait_copied()


def test_wrong_configurations_are_refused_with_the_cure(worker):
    answer = worker.create("x", connector__class="org.example.Nothing")
    assert answer.status == 400
    assert "Failed to find any class that implements Connector" in answer.json["message"]
    answer = worker.create("x", connector__class=FILE_SOURCE, filname="/tmp/x",
                           connect__topicname="t")
    assert answer.status == 400 and "filename" in answer.json["message"]
    assert worker.get("/connectors/x/status").status == 404
    assert worker.get("/connectors/list").body == {}


def test_the_same_configuration_again_is_a_conflict(worker):
    Copy(worker).create()
    answer = worker.create("append", connector__class=FILE_SINK,
                           filename=str(worker.folder / "out.txt"), connect__topicnames="lines")
    assert answer.status == 409 and answer.json["errorCode"] == 409


def test_java_status_codes_on_request(make_worker):
    worker = make_worker(**{"rest.compat.status": "java"}).start()
    answer = worker.get("/connectors/none/status")
    assert answer.status == 200 and answer.json["errorCode"] != 200


def test_a_browser_page_may_not_change_anything(worker):
    Copy(worker).create()
    headers = {"Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site"}
    assert worker.request("GET", "/connectors/append/stop", headers=headers).status == 403
    assert worker.request("GET", "/connectors/list",
                          headers={"Host": "evil.example"}).status == 403
    assert set(worker.get("/connectors/list").body) == {"tail", "append"}


def test_metrics_count_the_lines(worker):
    copy = Copy(worker).create()
    append(copy.input, lines(0, 777))
    copy.wait_copied()
    text = wait_until("777 lines in /metrics", lambda: (
        lambda t: t if t.count(" 777\n") >= 2 else None)(worker.get("/metrics").text))
    assert 'connector="tail"' in text and 'connector="append"' in text


def test_a_vanished_target_fails_with_key_and_cause(worker):
    folder = worker.folder / "gone"
    folder.mkdir()
    worker.create("tail", connector__class=FILE_SOURCE, filename=str(worker.folder / "in.txt"),
                  connect__topicname="t")
    (worker.folder / "in.txt").write_text(lines(0, 5))
    folder.rmdir()
    worker.create("append", connector__class=FILE_SINK, filename=str(folder / "out.txt"),
                  connect__topicnames="t")
    wait_until("a failed task", lambda: "FAILED" in worker.states("append")[1])
    trace = worker.status("append")["tasks"][0]["trace"]
    assert str(folder) in trace and "filename" in trace
