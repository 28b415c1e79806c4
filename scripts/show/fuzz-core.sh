#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# summary: every fuzzer for 60 s, and the units under ASan, UBSan and TSan, without a finding
#
# scripts/show.sh fuzz-core [seconds per fuzzer]
set -uo pipefail
. scripts/show/lib.sh
seconds=${1:-60}
log=$SHOW_DIR/log
mkdir -p "$log"

scripts/fuzz.sh "$seconds" | tee "$log/fuzz"
show_check "fuzzers" "${PIPESTATUS[0]}" = 0 "$(grep -c ' ok$' "$log/fuzz") of $(grep -c '^rc_fuzzer(' tests/fuzz/CMakeLists.txt) without a finding, $seconds s each"
show_check "seconds for each" "$seconds" '>=' 60

without_aslr=
setarch "$(uname -m)" -R true 2>/dev/null && without_aslr="setarch $(uname -m) -R"
export ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=1
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1

# ring NAME PRESET [ctest argument...]
ring() {
    local name=$1 preset=$2 began
    shift 2
    began=$(date +%s.%N)
    { cmake --preset "$preset" && cmake --build --preset "$preset" -j "$(nproc)"; } \
        >"$log/build-$preset" 2>&1 || { show_check "$name: build" failed = ok; tail -5 "$log/build-$preset"; return; }
    $without_aslr ctest --preset "$preset" -j "$(nproc)" --no-tests=error "$@" >"$log/$preset" 2>&1
    show_check "$name" $? = 0 "$(grep 'tests passed' "$log/$preset"), $(show_since "$began") s"
    grep -E '^(.*(AddressSanitizer|ThreadSanitizer|runtime error).*)$' "$log/$preset" | sort | uniq -c | head -20
}
ring "units under ASan and UBSan" asan
ring "units under TSan" tsan -L '^(base|log|worker|rest|plugin|net|store)$'
show_end
