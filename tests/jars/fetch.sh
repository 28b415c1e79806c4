#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# fetch.sh [NAME ...]: published connectors with their libraries from Maven Central, as they are.
#
# Default: all of pom.xml. NAME goes to ${RMQ_LIBS:-${XDG_CACHE_HOME:-~/.cache}/rocketmq-connect-c}/
# jars-HASH/NAME, where HASH stands for pom.xml; the last line of output is that folder. A run only
# looks once they are there, runs at the same time wait for each other, and a folder appears only
# when it is whole.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../rocketmq/rocketmq-common.sh"

case ${1:-} in
-h | --help) sed -n '3,9s/^# \{0,1\}//p' "$0"; exit 0 ;;
esac
[ $# -gt 0 ] || mapfile -t names < <(sed -n 's/.*<id>\(.*\)<\/id>.*/\1/p' "$here/pom.xml")
[ $# -eq 0 ] || names=("$@")

fetch() { # NAME FOLDER
    local part=$2.part.$$
    command -v mvn >/dev/null || die "no mvn found; scripts/bootstrap.sh installs it"
    rm -rf "$part"
    mkdir -p "$part"
    if ! mvn -q -B -Dstyle.color=never -f "$here/pom.xml" -P"$1" dependency:copy-dependencies \
        -DincludeScope=runtime -DoutputDirectory="$part" >"$part/mvn.log" 2>&1; then
        grep -m 4 'ERROR' "$part/mvn.log" >&2 || tail -5 "$part/mvn.log" >&2
        rm -rf "$part"
        die "could not get $1 from Maven Central; see Maven's words above"
    fi
    rm -f "$part/mvn.log"
    mv "$part" "$2"
}

all=$RMQ_LIBS/jars-$(sha256sum "$here/pom.xml" | cut -c1-12)
mkdir -p "$all"
exec 9>"$RMQ_LIBS/fetch.lock"
flock 9
for name in "${names[@]}"; do
    [ -d "$all/$name" ] || fetch "$name" "$all/$name"
done
echo "$all"
