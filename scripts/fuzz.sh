#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs the fuzzers: scripts/fuzz.sh [seconds-per-fuzzer] [name...]
#
# Builds the `fuzz` preset, runs each fuzzer on a copy of its corpus, prints one line for each and
# ends with PASS or FAIL. Inputs that break something are kept in build/fuzz/findings/.
# FUZZ_JOBS: how many run at once (default: the number of processors).
set -euo pipefail
cd "$(dirname "$0")/.."
build=build/fuzz

# One fuzzer: $1 name, $2 seconds, $3 scratch folder. Prints its line of the table.
run_one() {
    local name=$1 seconds=$2 scratch=$3 log=$3/$1.log result=ok status=0 runs cov
    mkdir -p "$scratch/$name" "$build/findings"
    [ ! -d "tests/fuzz/corpus/$name" ] || cp -r "tests/fuzz/corpus/$name/." "$scratch/$name/"
    "$build/tests/fuzz/fuzz_$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
        -print_final_stats=1 -artifact_prefix="$build/findings/$name-" "$scratch/$name" \
        >"$log" 2>&1 || status=$?
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log" | tail -1)
    cov=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -1)
    if [ "$status" -ne 0 ]; then
        result="FAIL (exit status $status, log $build/findings/$name.log)"
        cp "$log" "$build/findings/$name.log"
        touch "$scratch/failed"
    fi
    printf '%-16s %12s %10s  %s\n' "$name" "${runs:-0}" "${cov:-0}" "$result"
}

if [ "${1:-}" = --one ]; then
    run_one "$4" "$2" "$3"
    exit 0
fi

seconds=${1:-60}
[[ $seconds =~ ^[1-9][0-9]*$ ]] || { echo "usage: scripts/fuzz.sh [seconds] [name...]" >&2; exit 2; }
[ $# -eq 0 ] || shift
known=$(sed -n 's/^rc_fuzzer(\([a-z0-9_]*\)[ )].*/\1/p' tests/fuzz/CMakeLists.txt)
names=${*:-$known}
for name in $names; do
    grep -qx -- "$name" <<<"$known" || { echo "no fuzzer '$name'; there are:" $known >&2; exit 2; }
done

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
if ! { cmake --preset fuzz && cmake --build "$build" --target $(printf 'fuzz_%s ' $names); } \
    >"$scratch/build.log" 2>&1; then
    cat "$scratch/build.log" >&2
    echo "FAIL: the fuzzers do not build"
    exit 1
fi
printf '%-16s %12s %10s  %s\n' fuzzer runs coverage "result ($seconds s each)"
printf '%s\n' $names | xargs -P "${FUZZ_JOBS:-$(nproc)}" -n 1 scripts/fuzz.sh --one "$seconds" "$scratch"
if [ -e "$scratch/failed" ]; then
    echo "FAIL"
    exit 1
fi
echo "PASS"
