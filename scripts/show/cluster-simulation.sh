#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# summary: 10,000 clusters in trouble, in virtual time: no promise broken; each rule off breaks one
#
# Runs the product's own state machine (src/cluster) with brokers, networks, processes and clocks
# that fail by a seed, and checks the promises of ownership; then switches off one rule of the
# protocol at a time and looks for a run that fails without it.
#
# scripts/show.sh cluster-simulation [SEEDS [SEEDS-PER-RULE-AND-MIX]]
set -uo pipefail
. scripts/show/lib.sh
seeds=${1:-10000}
bound=${2:-6000}
first=$((SHOW_SEED % 1000000 * 1000))
folder=build/release/tests/sim
jobs=$(nproc)

cmake --build --preset release -j "$jobs" --target cluster_sim cluster_sim_mutants \
    >build/logs/show-sim-build.log 2>&1 || { tail -20 build/logs/show-sim-build.log; exit 1; }

echo "$seeds seeds from $first on, $jobs processes; rules: all on"
"$folder/cluster_sim" --seeds "$first..$((first + seeds - 1))" --jobs "$jobs" | tee "$SHOW_DIR/runs"
column() { awk -v n="$1" '$1 == "all" { print $n }' "$SHOW_DIR/runs"; }
echo
show_check "runs" "$(column 2)" '>=' "$seeds"
show_check "runs that failed" "$(column 3)" = 0
show_check "batches of former owners that came late" "$(column 8)" '>' 0 "else I2 was not tried"
show_note "events per second" "$(column 5)"
show_note "claims" "$(column 6)"

echo
echo "one rule off, up to $bound seeds in each of its mixes, until a run fails"
"$folder/cluster_sim_mutants" --mutants --seeds "0..$((bound - 1))" --jobs "$jobs" |
    tee "$SHOW_DIR/rules"
read -r caught all < <(sed -n 's/^\([0-9]*\) of \([0-9]*\) rules.*/\1 \2/p' "$SHOW_DIR/rules")
echo
show_check "rules whose absence is noticed" "${caught:-0}" = "${all:-1}"
show_end
