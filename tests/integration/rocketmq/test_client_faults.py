# SPDX-License-Identifier: Apache-2.0
"""Two kinds of trouble of scripts/show/client-faults.py with few messages: a broker killed with -9,
and a connection on which nothing moves any more. The show has all of them, with many."""
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("fault", ["kill", "frozen"])
def test_nothing_is_lost_and_order_holds(fault, tmp_path):
    env = {k: v for k, v in os.environ.items() if k != "SHOW_BIN"}
    done = subprocess.run(
        [sys.executable, ROOT / "scripts/show/client-faults.py", "--only", fault, "--count", "10000",
         "--rate", "5000", "--away", "4", "--limit", "60"],
        env={**env, "SHOW_DIR": str(tmp_path)}, text=True, capture_output=True, timeout=300,
        check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " lost " in done.stdout and "FAIL" not in done.stdout
