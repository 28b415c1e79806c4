#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# summary: every decoder of the client for 60 s without a finding; examples on the installed librmq
#
# scripts/show.sh client-fuzz [seconds per fuzzer]
set -uo pipefail
. scripts/show/lib.sh
seconds=${1:-60}
prefix=$SHOW_DIR/prefix

# Fuzzers that link the client.
names=$(sed -n 's/^rc_fuzzer(\([a-z0-9_]*\) .*\brocketmq\b.*/\1/p' tests/fuzz/CMakeLists.txt)
scripts/fuzz.sh "$seconds" $names | tee "$SHOW_DIR/fuzz"
show_check "fuzzers" "${PIPESTATUS[0]}" = 0 \
    "$(grep -c ' ok$' "$SHOW_DIR/fuzz") of $(wc -w <<<"$names") without a finding, $seconds s each"
show_check "decoders with a fuzzer" "$(wc -w <<<"$names")" '>=' 5 "frames, stored messages, batch items, JSON, routes"

echo
cmake --install "${SHOW_BIN%/*}" --component librmq --prefix "$prefix" >"$SHOW_DIR/install" 2>&1
show_check "librmq installs" $? = 0 "$(find "$prefix" -name 'librmq.so.1' -printf '%s bytes\n')"
library=$(find "$prefix" -name librmq.so.1)
export PKG_CONFIG_PATH=${library%/*}/pkgconfig LD_LIBRARY_PATH=${library%/*}
strip -o "$SHOW_DIR/stripped" "$library"
show_check "bytes without debugging information" "$(stat -c %s "$SHOW_DIR/stripped")" '<=' 409600
show_check "symbols that are not rmq_" \
    "$(nm -D --defined-only "$library" | awk '$3 !~ /^(rmq_|LIBRMQ_)/' | wc -l)" = 0

mkdir "$SHOW_DIR/empty" && cp examples/*.c examples/CMakeLists.txt examples/Makefile "$SHOW_DIR/empty"
make -C "$SHOW_DIR/empty" >"$SHOW_DIR/make" 2>&1
show_check "examples build with make in an empty folder" $? = 0
(cd "$SHOW_DIR/empty" && cmake -B build && cmake --build build) >"$SHOW_DIR/cmake" 2>&1
show_check "examples build with cmake in an empty folder" $? = 0

EXAMPLES=$SHOW_DIR/empty python3 - <<'PY'
import os, subprocess, sys
sys.path.insert(0, "tests/rocketmq")
import cluster
folder = os.environ["EXAMPLES"]
with cluster.Cluster("5.5.0") as rmq:
    topic = rmq.create_topic(queues=4)
    done = subprocess.run([f"{folder}/producer", rmq.namesrv, topic, "1000"], text=True,
                          capture_output=True, timeout=60)
    print(done.stdout + done.stderr, end="")
    stored = sorted(m["body"].decode() for m in rmq.peer().dump(topic))
    good = done.returncode == 0 and stored == sorted(f"hello {i}" for i in range(1000))
    done = subprocess.run([f"{folder}/consumer", rmq.namesrv, topic, cluster.unique("G"), "1000"],
                          text=True, capture_output=True, timeout=120)
    read = sorted(line.split(": ", 1)[1] for line in done.stdout.splitlines())
    print(f"{len(stored)} stored (by Java), {len(read)} read; {done.stderr}")
    sys.exit(0 if good and done.returncode == 0 and read == stored else 1)
PY
show_check "examples against a broker: 1,000 there and back" $? = 0
show_end
