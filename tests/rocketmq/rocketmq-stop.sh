#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# rocketmq-stop.sh --base DIR [--kill] [--clean] [--wait S] [NAME ...]
# Stops what rocketmq-start.sh started under DIR (all of it, or only the named processes:
# namesrv, broker-0, slave-0, proxy), by the pids it wrote and no others.
# --kill: SIGKILL at once (a crash); --clean: delete DIR once everything is down; --wait: seconds
# for an orderly stop (default 20; a broker takes up to 15), after which it is killed.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/rocketmq-common.sh"
base= sig=TERM clean=0 limit=20 names=()
while [ $# -gt 0 ]; do
    case $1 in
    --base) base=$2; shift;;
    --kill) sig=KILL;;
    --clean) clean=1;;
    --wait) limit=$2; shift;;
    -*) die "unknown option $1";;
    *) names+=("$1");;
    esac
    shift
done
[ -n "$base" ] && [ -d "$base" ] || die "usage: rocketmq-stop.sh --base DIR [--kill] [--clean] [--wait S] [NAME ...]"
base=$(cd "$base" && pwd)
if [ ${#names[@]} = 0 ]; then
    # clients of the others first, the name server last
    for n in proxy slave broker namesrv; do
        for f in "$base"/pids/$n*.pid; do [ -e "$f" ] && names+=("$(basename "$f" .pid)"); done
    done
fi
pids=()
for n in ${names[@]+"${names[@]}"}; do
    if pid=$(rmq_alive "$base" "$n"); then
        kill -"$sig" "$pid" 2>/dev/null || true
        pids+=("$pid:$n")
    else
        rm -f "$base/pids/$n.pid"
    fi
done
end=$(($(date +%s) + limit))
for pn in ${pids[@]+"${pids[@]}"}; do
    pid=${pn%%:*} n=${pn#*:}
    until rmq_gone "$pid"; do
        if [ "$(date +%s)" -ge "$end" ]; then
            if rmq_alive "$base" "$n" >/dev/null; then kill -KILL "$pid" 2>/dev/null || true; fi
        fi
        sleep 0.02
    done
    rm -f "$base/pids/$n.pid"
    echo "stopped $n (pid $pid)"
done
if [ "$clean" = 1 ]; then
    [ -e "$base/.rocketmq-run" ] || die "$base was not made by rocketmq-start.sh, not deleting it"
    [ -z "$(ls -A "$base/pids")" ] || die "something still runs under $base"
    rm -rf "$base"
fi
