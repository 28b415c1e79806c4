# SPDX-License-Identifier: Apache-2.0
"""Workers that are a cluster, on a real RocketMQ: who joins, dies, leaves, is asked. What became of
the records is read from the topics by a program of its own (tests/rocketmq/sequence_check.py)."""
import cluster
import distributed_kit as kit
import pytest

CONNECTORS, TASKS = ["a", "b", "c"], 2
UNITS = len(CONNECTORS) * TASKS


@pytest.fixture(scope="module")
def rmq(clusters):
    """Of this module alone: a test kills the broker."""
    with cluster.Cluster("5.5.0") as one:
        yield one


class Copying:
    """A team that copies growing files; topics and the cluster's name are its own."""

    def __init__(self, folder, rmq, unique, rate=50):
        name = unique("team")
        self.rmq = rmq
        self.topics = {c: rmq.create_topic(f"{name}-{c}", queues=2) for c in CONNECTORS}
        self.lines = kit.Lines(folder / "lines", CONNECTORS, TASKS, rate)
        self.team = kit.Team(folder, rmq, connectClusterId=name, configStoreTopic=f"{name}-cfg",
                             connectStatusTopic=f"{name}-st", positionStoreTopic=f"{name}-pos")
        self.checker = kit.Checker(rmq, list(self.topics.values()))

    def start(self, members):
        self.team.start(members)
        for connector in CONNECTORS:
            self.team.create(connector, self.lines, self.topics[connector])
        self.team.wait_settled(members, UNITS)
        self.lines.start()
        self.lines.go()
        return self.team

    def judge(self):
        self.lines.pause()
        found = self.checker.judge(self.lines.written)
        assert found["lost"] == 0 and found["disordered"] == 0, found
        return found

    def flowing(self):
        """Every file has had lines copied since now."""
        before = dict(self.lines.written)
        cluster.wait_for("lines of all tasks",
                         lambda: self.checker.ask(written=before)["lost"] == 0)

    def close(self):
        self.team.kill()
        self.lines.close()
        self.checker.close()


@pytest.fixture
def copying(tmp_path, rmq, unique, request):
    made = Copying(tmp_path, rmq, unique)
    request.node.team = made.team  # for the report of a failure
    try:
        yield made
    finally:
        made.close()




def moved(before, after):
    return {unit for unit in before if before[unit] != after[unit]}


def test_who_joins_takes_its_share_and_stops_nobody_else(copying):
    team = copying.start(1)
    copying.flowing()
    before = team.generations()
    team.start(1)
    team.wait_settled(2, UNITS)
    after = team.generations()
    assert all(after[unit][1] == "w1" for unit in moved(before, after)), (before, after)
    assert len(moved(before, after)) in (UNITS // 2, UNITS // 2 - 1, UNITS // 2 + 1)
    assert copying.judge()["repeated"] == {}, "handed over, not taken"


def test_tasks_of_the_dead_run_elsewhere(copying):
    team = copying.start(2)
    copying.flowing()
    before = team.generations()
    team[0].kill()
    team.wait_settled(1, UNITS)
    copying.flowing()
    after = team.generations()
    assert moved(before, after) == {u for u, (_, worker) in before.items() if worker == "w0"}
    assert {worker for _, worker in after.values()} == {"w1"}
    copying.judge()


def test_sigterm_hands_over(copying):
    team = copying.start(2)
    copying.flowing()
    assert team[0].stop(20) == 0, team[0].said()[-3000:]
    team.wait_settled(1, UNITS)
    copying.flowing()
    assert copying.judge()["repeated"] == {}, "drained: nothing is sent again"


def test_drain_and_back(copying):
    team = copying.start(2)
    team[1].put("/api/v1/cluster/drain")
    cluster.wait_for("w1 to be empty", lambda: team.tasks() and
                     {worker for _, worker in team.tasks().values()} == {"w0"})
    copying.flowing()
    team[1].put("/api/v1/cluster/drain?off=true")
    team.wait_settled(2, UNITS)
    assert copying.judge()["repeated"] == {}


def states(member, name):
    status = member.get(f"/api/v1/connectors/{name}/status")
    return [status["connector"]["state"]] + [t["state"] for t in status["tasks"]]


def everywhere(team, what, condition):
    for member in team.members:
        cluster.wait_for(f"{what}, seen by {member.name}", lambda m=member: condition(m))


def test_any_worker_takes_orders(copying):
    team = copying.start(2)
    team[1].put("/api/v1/connectors/a/pause")
    everywhere(team, "a paused", lambda m: set(states(m, "a")) == {"PAUSED"})
    team[0].put("/api/v1/connectors/a/resume")
    everywhere(team, "a running", lambda m: set(states(m, "a")) == {"RUNNING"})
    team[0].put("/api/v1/connectors/b/stop")
    everywhere(team, "b stopped", lambda m: states(m, "b")[0] == "STOPPED")
    team[1].put("/api/v1/connectors/b/resume")
    everywhere(team, "b running", lambda m: states(m, "b") == ["RUNNING"] * (1 + TASKS))

    config = copying.lines.config("c", copying.topics["c"], task__weight=2)
    team[1].put("/api/v1/connectors/c/config", config)
    everywhere(team, "c changed",
               lambda m: m.get("/api/v1/connectors/c")["config"].get("task.weight") == "2")
    everywhere(team, "c running", lambda m: states(m, "c") == ["RUNNING"] * (1 + TASKS))
    copying.flowing()
    copying.judge()
    team[0].request("DELETE", "/api/v1/connectors/c")
    everywhere(team, "c gone", lambda m: "c" not in m.get("/api/v1/connectors"))


def started(member, connector, task):
    return member.said().count(f"{connector}: task {task} RUNNING")


def test_a_restart_goes_to_the_owner(copying):
    team = copying.start(2)
    (connector, task), (_, owner) = next(iter(team.tasks().items()))
    has, asked = (team[0], team[1]) if owner == "w0" else (team[1], team[0])
    before = started(has, connector, task)
    asked.request("POST", f"/api/v1/connectors/{connector}/tasks/{task}/restart")
    cluster.wait_for("the task to start again", lambda: started(has, connector, task) > before)
    assert team.tasks(asked)[connector, task][1] == has.name

    stranger = team.add(cluster__secret="another one").start()
    cluster.wait_for("the stranger to know it",
                     lambda: (connector, task) in team.tasks(stranger))
    team.wait_settled(3, UNITS)
    (connector, task), _ = next(item for item in team.tasks(stranger).items()
                                if item[1][1] != stranger.name)
    with pytest.raises(cluster.Trouble, match=r"cluster\.secret"):
        stranger.request("POST", f"/api/v1/connectors/{connector}/tasks/{task}/restart")


def test_a_name_is_one_process(copying):
    team = copying.start(1)
    before = team.generations()
    second = kit.Member(team.folder / "second" / "w0", copying.rmq.namesrv, **team.keys)
    second.start(wait=False)
    assert second.process.wait(30) != 0
    assert "w0" in second.said() and "workerId" in second.said(), second.said()
    assert team[0].runs and team.generations() == before


def test_nothing_restarts_when_the_broker_does(copying):
    team = copying.start(2)
    copying.flowing()
    before = team.generations()
    copying.rmq.kill("broker-0")
    everywhere(team, "its tasks wait", lambda m: {
        state for state, worker in team.tasks(m).values()
        if worker == m.name} in ({"SUSPENDED"}, {"STALLED"}, {"SUSPENDED", "STALLED"}))
    copying.rmq.start(only="broker-0")
    team.wait_settled(2, UNITS)
    copying.flowing()
    assert team.generations() == before
    copying.judge()
