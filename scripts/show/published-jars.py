#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# summary: published Java connectors, unmodified, through kills of host and worker: nothing is lost
"""Connectors from Maven Central as they are, and a user's own, move records between real servers
(PostgreSQL and MariaDB of Debian, a Kafka broker) and a real RocketMQ 5.5. While they do, the Java
hosts and the worker are killed with SIGKILL at random points, twice each; with less than 200,000
records, once at least, because they may be through before. Of a database, the last two kills
are in the stream behind the snapshot.

At the end a reader of its own (tests/rocketmq/stored.py: plain sockets, nothing of our client), or
the target itself, is compared with the source, each record: lost, repeated (which kills may do: the
connectors promise at least once), or another text.

Options: --count N records of each (1,000,000), --only NAME (repeat for several), --no-kills.
"""
import argparse
import os
import pathlib
import random
import sys
import traceback

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/jars"))
import jars_kit  # noqa: E402
import client_kit  # noqa: E402
import cluster  # noqa: E402
import databases  # noqa: E402
import files  # noqa: E402
import mirror  # noqa: E402

CASES = {"connect-file": files.connect_file, "own": files.own,
         "debezium-postgres": databases.debezium_postgres, "debezium-jdbc": databases.debezium_jdbc,
         "debezium-mariadb": databases.debezium_mariadb, "connect-mirror": mirror.mirror,
         "iceberg": mirror.iceberg}


class Table(client_kit.Table):
    """Checks, and at the end one line for each connector."""

    def __init__(self, kills):
        super().__init__()
        self.kills = kills
        self.rows = []

    def moved(self, name, trial, took, numbers, repeats=True):
        """Numbered records; see jars_kit.Numbers."""
        self.check(f"{name}: records", numbers.distinct, "=", numbers.count)
        self.check("  lost", numbers.lost, "=", 0)
        self.check("  another text than at the source", numbers.damaged, "=", 0)
        self._kills(trial)
        if repeats:
            self.note("  repeated", numbers.repeated)
        self.rows.append((name, numbers.count, took, numbers.lost, numbers.repeated))

    def moved_rows(self, name, trial, took, changes, lost, wrong, gone, rows):
        """Changes of a table; see databases.Changes."""
        self.check(f"{name}: rows of the table", rows, ">=", changes.count // 2,
                   f"of {changes.count:,} inserted; {changes.updates:,} events of updates, "
                   f"{sum(changes.deleted):,} deletes")
        self.check("  versions and deletes lost", lost, "=", 0)
        self.check("  versions that the table never had", wrong, "=", 0)
        self.check("  another text than at the source", changes.damaged, "=", 0)
        self._kills(trial)
        self.note("  repeated", changes.repeated)
        self.note("  deleted before a snapshot was taken again", gone)
        self.rows.append((name, changes.events, took, lost, changes.repeated))

    def _kills(self, trial):
        self.check("  kills of hosts", trial.kills["host"], ">=", self.kills)
        self.check("  kills of the worker", trial.kills["worker"], ">=", self.kills)

    def summary(self):
        print(f"\n{'connector':<44} {'records':>10} {'s':>7} {'per s':>9} {'lost':>6} "
              f"{'repeated':>9}")
        for name, count, took, lost, repeated in self.rows:
            print(f"{name:<44} {count:>10,} {took:>7.1f} {count / took:>9,.0f} {lost:>6} "
                  f"{repeated:>9,}")


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--count", type=int, default=int(os.environ.get("SHOW_COUNT", 1_000_000)))
    options.add_argument("--only", action="append", choices=CASES)
    options.add_argument("--no-kills", action="store_true")
    args = options.parse_args()
    plan = () if args.no_kills else jars_kit.KILLS
    table = Table(min(len(plan), 2 if args.count >= 200_000 else 1))
    jars_kit.build_hosts()
    for name in args.only or CASES:
        rng = random.Random(f"{os.environ.get('SHOW_SEED', '1')} {name}")
        print(f"-- {name}: {CASES[name].__doc__.splitlines()[0]}", flush=True)
        try:
            with cluster.Cluster("5.5.0") as rmq:
                CASES[name](rmq, args.count, client_kit.scratch() / name, rng, table, plan)
        except Exception as trouble:  # the others still run
            traceback.print_exc()
            table.check(f"{name} runs", f"{type(trouble).__name__}: {trouble}", "=", "")
    table.summary()
    table.end()


main()
