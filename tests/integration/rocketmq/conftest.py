# SPDX-License-Identifier: Apache-2.0
"""Fixtures for tests against a real RocketMQ; the fixtures of the folder above work here too.

    rocketmq    rocketmq(version="5.5.0", brokers=1, slaves=False, acl=None, tls=None, sets=(), ...):
                a running cluster.Cluster, started when first asked for, shared by all tests of the
                session that ask for the same, stopped at the end
    java        java(cluster, version=None): the session's Java peer for a cluster
    unique      unique("T"): a name for a topic or a group that no other test has

A test that kills or reconfigures servers asks for its own: rocketmq(..., own=True) is stopped with
the test. Topics and groups of shared clusters must come from unique(). On a failure the report ends
with the logs of the clusters the test used.
"""
import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests/rocketmq"))
import cluster  # noqa: E402


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.failed:
        for used in item.__dict__.get("clusters", []):
            for name, text in used.logs():
                report.sections.append((f"{name} of RocketMQ {used.version} ({used.base})", text))
        for member in (m for m in item.__dict__.get("team", ()) if m.process):
            report.sections.append((f"worker {member.name}", member.said()[-20000:]))


@pytest.fixture(scope="session")
def clusters():
    """Shared clusters by what was asked for."""
    shared = {}
    yield shared
    for one in shared.values():
        one.stop()


@pytest.fixture
def rocketmq(clusters, request):
    mine = []
    used = request.node.clusters = []

    def get(version="5.5.0", own=False, **options):
        key = (version, repr(sorted(options.items())))
        found = None if own else clusters.get(key)
        if found is None:
            found = cluster.Cluster(version, **options).start()
            if own:
                mine.append(found)
            else:
                clusters[key] = found
        used.append(found)
        return found

    yield get
    for one in mine:
        one.stop()


@pytest.fixture(scope="session")
def java_peers():
    return {}


@pytest.fixture
def java(java_peers):
    def get(of, version=None):
        key = (id(of), version)
        if key not in java_peers or java_peers[key].process.poll() is not None:
            java_peers[key] = of.peer(version)
        return java_peers[key]
    return get


@pytest.fixture(scope="session")
def unique():
    return cluster.unique
