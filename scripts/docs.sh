#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Writes the reference pages from the program's own tables: scripts/docs.sh [--check]
#
# --check: writes nothing, and fails when a page differs from what the program says.
# The program is build/release/rocketmq-connect, or $RC_BUILD/rocketmq-connect.
set -uo pipefail
cd "$(dirname "$0")/.."
program=${RC_BUILD:-build/release}/rocketmq-connect
pages='config:configuration connectors:connectors commands:commands rest:rest metrics:metrics'

check=no
case ${1:-} in
'') ;;
--check) check=yes ;;
*) echo "usage: scripts/docs.sh [--check]" >&2; exit 2 ;;
esac
[ -x "$program" ] || { echo "$program is not built" >&2; exit 1; }
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
status=0
for page in $pages; do
    topic=${page%:*} file=docs/${page#*:}.md
    "$program" docs "$topic" >"$scratch/page" || { echo "docs $topic fails"; status=1; continue; }
    if [ "$check" = no ]; then
        cp "$scratch/page" "$file"
    elif ! diff -u "$file" "$scratch/page"; then
        echo "$file is not what 'docs $topic' says: scripts/docs.sh writes it"
        status=1
    fi
done
exit "$status"
