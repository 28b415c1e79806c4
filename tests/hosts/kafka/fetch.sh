#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# fetch.sh: the jars of Kafka 3.9.1's broker and of Kafka Connect from Maven Central, once; prints
# their folder, ${XDG_CACHE_HOME:-~/.cache}/rocketmq-connect-c/kafka-3.9.1.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
to=${XDG_CACHE_HOME:-$HOME/.cache}/rocketmq-connect-c/kafka-3.9.1
mkdir -p "$(dirname "$to")"
exec 9>"$to.lock"
flock 9
if [ ! -d "$to" ]; then
    command -v mvn >/dev/null || { echo "fetch: no mvn found; scripts/bootstrap.sh installs it" >&2; exit 1; }
    rm -rf "$to.part"
    mkdir -p "$to.part"
    if ! mvn -q -B -Dstyle.color=never -f "$here/pom.xml" dependency:copy-dependencies \
        -DincludeScope=runtime -DoutputDirectory="$to.part" >"$to.log" 2>&1; then
        tail -5 "$to.log" >&2
        exit 1
    fi
    mv "$to.part" "$to"
    rm -f "$to.log"
fi
echo "$to"
