# SPDX-License-Identifier: Apache-2.0
"""A worker that starts before its cluster does: it waits and says so; what is wrong ends it."""
import socket

import cluster

USER, SECRET = "worker1", "s3cretOfWorker1"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start_waiting(worker):
    """Started, and asked until it tells what it waits for; that answer of /health."""
    worker.configure(httpPort=free_port())
    worker.port = worker.keys["httpPort"]
    worker.start(wait=False)

    def waits():
        assert worker.process.poll() is None, worker.said
        try:
            health = worker.get("/health")
        except OSError:
            return None
        return health if "waiting for RocketMQ" in health.text else None
    return cluster.wait_for("the worker to wait", waits)


def test_waits_for_the_cluster(rocketmq, make_worker, unique):
    rmq = rocketmq(own=True)
    worker = make_worker(namesrvAddr=rmq.namesrv)
    for server in ("broker-0", "namesrv"):
        rmq.kill(server)
    health = start_waiting(worker)
    assert health.status == 503 and health.json["status"] == "starting"
    assert rmq.namesrv in health.json["message"], health
    for path in ("/connectors/list", "/api/v1/connectors"):
        answer = worker.get(path)
        assert answer.status == 503 and "waiting for RocketMQ" in answer.text, answer
    rmq.start(only="namesrv")  # knows no broker yet: still nothing to work with
    cluster.wait_for("the name server's word", lambda: "no brokers" in worker.get("/health").text)
    rmq.start(only="broker-0")
    cluster.wait_for("the worker to be ready", lambda: worker.get("/health").status == 200)
    assert worker.get("/api/v1/connectors").status == 200
    assert "RocketMQ is there after" in worker.said
    assert worker.stop() == 0


def test_ends_while_it_waits(make_worker):
    worker = make_worker(namesrvAddr=f"127.0.0.1:{free_port()}")
    start_waiting(worker)
    assert worker.stop() == 0


def test_limit_of_waiting(make_worker):
    worker = make_worker(namesrvAddr=f"127.0.0.1:{free_port()}", **{"log.wait.max": "1s"})
    worker.start(wait=False)
    assert worker.process.wait(60) == 4
    assert "log.wait.max" in worker.said, worker.said


def ended(worker):
    """Exit status of a worker that has nothing to wait for."""
    worker.start(wait=False)
    status = worker.process.wait(60)
    assert "waiting for RocketMQ" not in worker.said, worker.said  # not even tried again
    return status


def test_what_waiting_does_not_cure(rocketmq, make_worker):
    enforcing = rocketmq(tls="enforcing")
    plain = rocketmq(acl=f"{USER}:{SECRET}")
    none = rocketmq(tls="disabled")
    worker = make_worker(namesrvAddr="127.0.0.1:port")
    assert ended(worker) == 3, worker.said
    worker = make_worker(namesrvAddr=enforcing.namesrv, **{"tls.enable": "true"})
    assert ended(worker) == 4 and "certificate" in worker.said, worker.said
    worker = make_worker(namesrvAddr=none.namesrv, **{"tls.enable": "true"})
    worker.start(wait=False)
    assert worker.process.wait(60) == 4 and "is TLS enabled there?" in worker.said, worker.said
    worker = make_worker(namesrvAddr=plain.namesrv, aclEnable="true", accessKey=USER,
                         secretKey="another")
    assert ended(worker) == 1 and "signature" in worker.said, worker.said
