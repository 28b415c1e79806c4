#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Shows that a claim of this project holds: scripts/show.sh NAME [argument...]
#
# Prints the machine and its load, versions, the seed, then the show's own table, and ends with
# PASS or FAIL; the exit status says the same. Without a name: the names, one line each.
#
# A show is scripts/show/NAME.sh or .py, whose first line with "summary:" describes it. It finds in
# its environment
#   SHOW_SEED   seed of everything random; given by the caller to repeat a run
#   SHOW_DIR    an empty folder on a disk file system, removed at the end (SHOW_KEEP=1 keeps it)
#   SHOW_BIN    the release binary, built before the show starts
# and its exit status decides. scripts/show/lib.sh has the helpers for bash.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/show/lib.sh
folder=${SHOW_FOLDER:-scripts/show} # scripts/soak.sh has its own

file_of() {
    local file
    for file in "$folder/$1.sh" "$folder/$1.py"; do
        [ "$1" != lib ] && [ -f "$file" ] && { echo "$file"; return 0; }
    done
    return 1
}

if [ $# -eq 0 ] || [ "$1" = --help ] || [ "$1" = -h ]; then
    echo "usage: scripts/$(basename "$folder").sh NAME [argument...]"
    for file in "$folder"/*.sh "$folder"/*.py; do
        name=$(basename "${file%.*}")
        [ -f "$file" ] && [ "$name" != lib ] || continue
        printf '  %-16s %s\n' "$name" "$(sed -n 's/^.*summary: *//p' "$file" | head -1)"
    done
    exit 0
fi

name=$1
shift
if ! file=$(file_of "$name"); then
    echo "there is no '$name'; scripts/$(basename "$folder").sh lists them" >&2
    exit 2
fi

SHOW_SEED=${SHOW_SEED:-$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')}
SHOW_TMP=${SHOW_TMP:-/var/tmp}
SHOW_DIR=$(mktemp -d "$SHOW_TMP/show-$name-XXXXXX")
SHOW_BIN=$PWD/build/release/rocketmq-connect
export SHOW_SEED SHOW_DIR SHOW_BIN
trap '[ -n "${SHOW_KEEP:-}" ] && echo "kept: $SHOW_DIR" || rm -rf "$SHOW_DIR"' EXIT

if ! show_build_release; then
    echo "FAIL $name: the release build fails; log: build/logs/show-build.log"
    tail -20 build/logs/show-build.log
    exit 1
fi
show_machine "$name"
began=$(date +%s.%N)
status=0
case $file in
*.py) python3 "$file" "$@" || status=$? ;;
*) bash "$file" "$@" || status=$? ;;
esac
took=$(awk -v b="$began" -v e="$(date +%s.%N)" 'BEGIN { printf "%.1f", e - b }')
echo "load after: $(cut -d' ' -f1-3 /proc/loadavg)   time: $took s   seed: $SHOW_SEED"
if [ "$status" -ne 0 ]; then
    echo "FAIL $name"
    exit 1
fi
echo "PASS $name"
