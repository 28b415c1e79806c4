#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# peer.sh [--version V] --namesrv HOST:PORT COMMAND [--name value ...]: one command of java/Peer.java,
# for shells. Without a command it lists them. `consume` runs until SIGTERM, then ends in order.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/rocketmq-common.sh"
version=5.5.0
if [ "${1:-}" = --version ]; then
    version=$2
    shift 2
fi
classes=$(PYTHONPATH=$here python3 -c 'import cluster, sys; print(cluster.classes(sys.argv[1]))' "$version")
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
status=0
"$(rmq_java)" -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Duser.home="$home" \
    -Djava.net.preferIPv4Stack=true -cp "$classes:$RMQ_LIBS/rocketmq-$version/*" Peer "$@" <&0 &
pid=$!
trap 'kill -TERM $pid 2>/dev/null || true' TERM INT
wait $pid || status=$?
# a trapped signal ends the first wait before the program has ended
while kill -0 $pid 2>/dev/null; do wait $pid || status=$?; done
exit $status
