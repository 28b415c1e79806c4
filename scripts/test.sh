#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Builds and tests everything: scripts/test.sh [--quick]
#
# One line per step with its seconds; logs are in build/logs. The last line is
# `N passed, N failed, N skipped`, and the exit status is 0 only when nothing failed. A skipped
# test counts as a failure of the run, unless RC_ALLOW_SKIP=1: everything can run here.
#
# --quick: the units and the integration ring of the dev build only.
set -uo pipefail
cd "$(dirname "$0")/.."

quick=no
case ${1:-} in
'') ;;
--quick) quick=yes ;;
*) echo "usage: scripts/test.sh [--quick]" >&2; exit 2 ;;
esac

export LC_ALL=C.UTF-8 CTEST_OUTPUT_ON_FAILURE=1
unset NAMESRV_ADDR ROCKETMQ_CONNECT_URL MAKEFLAGS
logs=$PWD/build/logs
jobs=$(nproc)
passed=0 failed=0 skipped=0
mkdir -p "$logs"

# step NAME COMMAND...: runs it with its output in the log. Its counts are in $logs/NAME.xml (JUnit)
# or $logs/NAME.counts ("passed failed skipped"); without either it counts as one.
step() {
    local name=$1 status=0 began p f s
    shift
    printf '%-24s ' "$name"
    began=$(date +%s.%N)
    rm -f "$logs/$name.xml" "$logs/$name.counts"
    "$@" >"$logs/$name.log" 2>&1 </dev/null || status=$?
    read -r p f s < <(counts "$name" "$status")
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
    awk -v b="$began" -v e="$(date +%s.%N)" 'BEGIN { printf "%7.1f s  ", e - b }'
    if [ "$f" -gt 0 ] || [ "$s" -gt 0 ]; then
        echo "$p passed, $f failed, $s skipped; build/logs/$name.log:"
        show_log "$logs/$name.log" | cut -c1-300 | sed 's/^/    | /'
    elif [ "$p" -gt 1 ]; then
        echo "$p passed"
    else
        echo "ok"
    fi
    [ "$f" -eq 0 ]
}

# What matters of a log: what compilers and tests say went wrong, else its end.
show_log() {
    local words='error: |^FAILED|^E   |\*\*\*(Failed|Timeout|Exception|Skipped)|SKIPPED|Sanitizer|runtime error:|survived'
    if grep -qE "$words" "$1"; then
        grep -E -A2 "$words" "$1" | head -"${TEST_TAIL:-40}"
    else
        tail -"${TEST_TAIL:-40}" "$1"
    fi
}

# "passed failed skipped" of a step. A command that failed has at least one failure, whatever its
# report says: a crash of the runner must not look like success.
counts() {
    local p=0 f=0 s=0
    if [ -s "$logs/$1.xml" ]; then
        read -r p f s < <(python3 - "$logs/$1.xml" "$logs/$1.log" <<'PY'
import re, sys, xml.etree.ElementTree as tree
suites = [e for e in tree.parse(sys.argv[1]).iter("testsuite")]
get = lambda name: sum(int(e.get(name, 0)) for e in suites)
bad, skipped = get("failures") + get("errors"), get("skipped") + get("disabled")
# cmocka says itself what it skipped inside a program.
inside = sum(map(int, re.findall(r"\[  SKIPPED \] (\d+) test", open(sys.argv[2], errors="replace").read())))
print(get("tests") - bad - skipped, bad, skipped + inside)
PY
        )
    elif [ -s "$logs/$1.counts" ]; then
        read -r p f s <"$logs/$1.counts"
    elif [ "$2" -eq 0 ]; then
        p=1
    fi
    [ "$2" -eq 0 ] || [ "${f:-0}" -gt 0 ] || f=1
    echo "${p:-0} ${f:-0} ${s:-0}"
}

build() {
    cmake --preset "$1" && cmake --build --preset "$1" -j "$jobs"
}

# The Java host with its unit tests, and the connectors that its integration tests use.
java_host() {
    scripts/build-java-host.sh --test build/hosts/java || return
    tests/hosts/java/build.sh build/hosts/example || return
    tests/jars/fetch.sh debezium-postgres debezium-jdbc connect-mirror || return
    cat build/hosts/java/.work/surefire-reports/TEST-*.xml | awk '
        match($0, /<testsuite [^>]*/) { s = substr($0, RSTART, RLENGTH)
            p += n(s, "tests"); f += n(s, "failures") + n(s, "errors"); k += n(s, "skipped") }
        function n(s, name) { return match(s, name "=\"[0-9]+") ? substr(s, RSTART + length(name) + 2, 9) + 0 : 0 }
        END { print p - f - k, f, k }' >"$logs/java-host.counts"
}

# ctest of a preset; more arguments select tests. Output of every test is in the log, since skips
# are looked for there.
units() {
    local preset=$1
    shift
    $without_aslr ctest --preset "$preset" -j "$jobs" --no-tests=error -V \
        --output-junit "$logs/units-$preset.xml" "$@"
}

# integration PRESET [pytest option...]
integration() {
    local preset=$1
    shift
    RC_BUILD=$PWD/build/$preset python3 -m pytest tests/integration \
        --junitxml="$logs/integration-$preset.xml" --durations=10 "$@"
}

# 60 s for all fuzzers together; scripts/fuzz.sh SECONDS runs them longer.
fuzz() {
    local count seconds
    count=$(grep -c '^rc_fuzzer(' tests/fuzz/CMakeLists.txt)
    seconds=$((60 / count))
    scripts/fuzz.sh "$((seconds > 0 ? seconds : 1))" | tee "$logs/fuzz.out"
    local status=${PIPESTATUS[0]}
    awk '$4 == "ok" { p++ } $4 == "FAIL" { f++ } END { print p + 0, f + 0, 0 }' "$logs/fuzz.out" \
        >"$logs/fuzz.counts"
    return "$status"
}

# One mutant for each module; scripts/mutants.sh alone runs all.
mutants() {
    scripts/mutants.sh --quick | tee "$logs/mutants.out"
    local status=${PIPESTATUS[0]}
    sed -n 's/^\([0-9]*\) caught, \([0-9]*\) not.*/\1 \2 0/p' "$logs/mutants.out" \
        >"$logs/mutants.counts"
    return "$status"
}

# Sanitizers of older compilers cannot live with much address randomisation; where it cannot be
# switched off (containers) they are run as they are.
without_aslr=
setarch "$(uname -m)" -R true 2>/dev/null && without_aslr="setarch $(uname -m) -R"

export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0:detect_stack_use_after_return=1
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
export TSAN_OPTIONS=halt_on_error=0:second_deadlock_stack=1

finish() {
    local ok=0
    [ "$failed" -eq 0 ] || ok=1
    [ "$skipped" -eq 0 ] || [ -n "${RC_ALLOW_SKIP:-}" ] || ok=1
    echo "$passed passed, $failed failed, $skipped skipped"
    exit "$ok"
}

step bootstrap scripts/bootstrap.sh || finish
step rocketmq-jars tests/rocketmq/fetch.sh
step build-dev build dev || finish
step java-host java_host
step units-dev units dev
step integration-dev integration dev
[ "$quick" = no ] || finish
step build-release build release
step docs scripts/docs.sh --check
step format scripts/lint.sh --format
step build-clang build clang
step build-asan build asan && {
    step units-asan units asan
    # the test of the harness does not run our program, and old servers were met by the dev build;
    # sanitizers need more address space than a test of limits gives
    RC_PATIENCE=60 step integration-asan integration asan -k 'not 4.9.7 and not can_do_its_worst' \
        --ignore=tests/integration/rocketmq/test_cluster.py
}
step build-tsan build tsan && step units-tsan units tsan -L '^(base|log|worker|rest|plugin|net|rocketmq)$'
step fuzz fuzz
[ ! -x scripts/mutants.sh ] || step mutants mutants
finish
