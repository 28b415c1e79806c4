#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# summary: a copy survives kill -9 and power cuts: no line lost, none twice
"""5 million lines of 100 B from file to file through the embedded log, killed 20 times.

Four copies: by `run` and by `standalone` with connectors over REST, each with kill -9, and each
with power cuts, where the I/O shim (tests/shim) takes back what was not synced. The points are
random between 5 % and 95 % of the output. The result must equal the input byte for byte (cmp)
and by a separate checker that counts the numbers in the lines.

  scripts/show.sh copy-kills [--lines N] [--kills K] [--cut-lines N] [--cuts K] [--only COPY]
                             [--segment-bytes SIZE] [--commit-ms MS]
"""
import argparse
import os
import pathlib
import random
import shutil
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests/faults"))
import kit  # noqa: E402

COPIES = {
    "run-kill": (kit.RunCopy, False), "worker-kill": (kit.WorkerCopy, False),
    "run-cut": (kit.RunCopy, True), "worker-cut": (kit.WorkerCopy, True),
}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lines", type=int, default=5000000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--cut-lines", type=int, default=None, help="lines under the shim")
    parser.add_argument("--cuts", type=int, default=None, help="power cuts")
    parser.add_argument("--segment-bytes", default="32MiB", help="small: kills hit the rolls too")
    parser.add_argument("--commit-ms", type=int, default=None,
                        help="commit interval; short for short copies (default: the program's)")
    parser.add_argument("--only", choices=COPIES)
    args = parser.parse_args()
    cut_lines = args.cut_lines or min(args.lines, 1000000)
    cuts = args.cuts or args.kills
    seed = int(os.environ.get("SHOW_SEED", "1"))
    top = pathlib.Path(os.environ.get("SHOW_DIR") or f"/var/tmp/copy-kills-{os.getpid()}")
    shim = kit.build_shim()
    made = {}
    failed = 0

    print(f"{'copy':<12} {'kill':>4} {'point':>7} {'output bytes':>13} {'line':>9} "
          f"{'log bytes':>11} {'after':>12}  forgotten")
    for name, (kind, cut) in COPIES.items():
        if args.only and name != args.only:
            continue
        count, kills = (cut_lines, cuts) if cut else (args.lines, args.kills)
        copy = kind(top / name, shim=shim if cut else None, segment_bytes=args.segment_bytes,
                    commit_ms=args.commit_ms)
        if count not in made:
            made[count] = top / f"in-{count}.txt"
            kit.make_lines(made[count], count, seed)
        os.link(made[count], copy.input)

        def tell(n, point, at, log, after, lost, name=name):
            print(f"{name:<12} {n:>4} {100 * point:>6.2f}% {at:>13} {at // 100:>9} {log:>11} "
                  f"{after:>12}  {lost}", flush=True)
        began = time.monotonic()
        try:
            ok, text = kit.copy_with_kills(copy, count, kills, random.Random(f"{seed} {name}"),
                                           tell)
        except kit.Trouble as trouble:
            ok, text = False, str(trouble)
        finally:
            if copy.process and copy.process.poll() is None:
                copy.process.kill()
        failed += not ok
        print(f"{name:<12} {count} lines, {kills} {'power cuts' if cut else 'kills'}, "
              f"{time.monotonic() - began:.1f} s: {text}  {'PASS' if ok else 'FAIL'}", flush=True)
        if ok:
            shutil.rmtree(copy.folder)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
