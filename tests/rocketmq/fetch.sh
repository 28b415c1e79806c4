#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# fetch.sh [VERSION ...]: the jars of RocketMQ's servers, tools and client from Maven Central.
#
# Default: both versions that the tests run against, 5.5.0 and 4.9.7. The jars of a version go to
# ${RMQ_LIBS:-${XDG_CACHE_HOME:-~/.cache}/rocketmq-connect-c}/rocketmq-VERSION; once they are there a
# run only looks. Runs at the same time wait for each other, and a folder appears only when it is
# whole. At the end class-data archives are written, with which servers start twice as fast.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/rocketmq-common.sh"

case ${1:-} in
-h | --help) sed -n '3,9s/^# \{0,1\}//p' "$0"; exit 0 ;;
esac
[ $# -gt 0 ] || set -- 5.5.0 4.9.7

fetch() { # VERSION LIB
    local version=$1 lib=$2 part=$2.part.$$ core=
    # RocketMQ 4 has neither a proxy nor, always, a jar of examples.
    case $version in 4.*) core=-Dcore ;; esac
    command -v mvn >/dev/null || die "no mvn found; scripts/bootstrap.sh installs it"
    rm -rf "$part"
    mkdir -p "$part"
    if ! mvn -q -B -Dstyle.color=never -f "$here/pom.xml" -Drocketmq.version="$version" $core \
        dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$part" \
        >"$part/mvn.log" 2>&1; then
        grep -m 4 'ERROR' "$part/mvn.log" >&2 || tail -5 "$part/mvn.log" >&2
        rm -rf "$part"
        die "could not get the jars of RocketMQ $version from Maven Central; see Maven's words above"
    fi
    rm -f "$part/mvn.log"
    rm -rf "$lib"
    mv "$part" "$lib"
}

# One start and an orderly stop of a cluster write LIB/namesrv.jsa and LIB/broker.jsa, at the very
# end of the stop: it takes its time. Without them all works, only slower, so a failure here is
# told and forgotten.
archive() { # LIB
    local lib=$1 base port
    base=$(mktemp -d "${TMPDIR:-/tmp}/rocketmq-archive-XXXXXX")
    port=$(rmq_free_base)
    if "$here/rocketmq-start.sh" --base "$base" --lib "$lib" --port "$port" --archive --quiet \
        >"$lib/archive.log" 2>&1; then
        "$here/rocketmq-stop.sh" --base "$base" --wait 90 --clean >>"$lib/archive.log" 2>&1 || true
    else
        "$here/rocketmq-stop.sh" --base "$base" --kill --clean >>"$lib/archive.log" 2>&1 || true
    fi
    if [ -r "$lib/broker.jsa" ]; then rm -f "$lib/archive.log"
    else echo "fetch: no class-data archive was made (servers start slower); see $lib/archive.log"; fi
    touch "$lib/.archive-tried"
}

mkdir -p "$RMQ_LIBS"
exec 9>"$RMQ_LIBS/fetch.lock"
flock 9
for version in "$@"; do
    lib=$RMQ_LIBS/rocketmq-$version
    if ! ls "$lib"/rocketmq-broker-*.jar >/dev/null 2>&1; then
        fetch "$version" "$lib"
        echo "fetch: RocketMQ $version, $(ls "$lib"/*.jar | wc -l) jars, $(du -sh "$lib" | cut -f1) in $lib"
    fi
    [ -e "$lib/.archive-tried" ] || archive "$lib" 9>&-
done
