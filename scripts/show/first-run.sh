#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# summary: quickstart and test from a fresh clone in a new folder, first and second run of each
#
# scripts/show.sh first-run [--no-test]
#   --no-test   leaves out scripts/test.sh, which takes most of the time
# The clone has what is committed. Compiler results kept by ccache are not used for the first runs.
set -uo pipefail
. scripts/show/lib.sh
test=yes
[ "${1:-}" != --no-test ] || test=no
[ -z "$(git status --porcelain)" ] || echo "note: changes that are not committed are not in the clone"
clone=$SHOW_DIR/clone log=$SHOW_DIR/log
mkdir -p "$log"
export CCACHE_DIR=$SHOW_DIR/ccache
git clone -q . "$clone" || exit 1
cd "$clone" || exit 1

# timed NAME LIMIT-IN-SECONDS COMMAND...
timed() {
    local name=$1 limit=$2 began status=0 took
    shift 2
    began=$(date +%s.%N)
    "$@" >"$log/out" 2>&1 </dev/null || status=$?
    took=$(show_since "$began")
    show_check "$name: exit status" "$status" = 0
    show_check "$name: seconds" "$took" '<=' "$limit"
    [ "$status" -eq 0 ] || tail -30 "$log/out" | sed 's/^/    | /'
}

timed "quickstart, first run" 600 scripts/quickstart.sh
grep -E 'records/s|Identical' "$log/out" | tail -2 | sed 's/^/    | /'
timed "quickstart, second run" 30 scripts/quickstart.sh
grep -E 'records/s|Identical' "$log/out" | tail -2 | sed 's/^/    | /'
if [ "$test" = yes ]; then
    timed "test, first run" 1200 scripts/test.sh
    cat "$log/out" | sed 's/^/    | /'
    timed "test, second run" 1200 scripts/test.sh
    tail -1 "$log/out" | sed 's/^/    | /'
fi
show_check "the clone is clean afterwards" "$(git status --porcelain | wc -l)" = 0
show_end
