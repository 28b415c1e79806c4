#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# mqadmin.sh --base DIR COMMAND [ARGS...]: RocketMQ's admin tool against the cluster under DIR;
# its name server is the default, so -n can be left out.
# mqadmin.sh --base DIR --class MAIN ARGS...: any other main class with the same class path and
# settings, e.g. org.apache.rocketmq.example.benchmark.Producer.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/rocketmq-common.sh"
base= main=org.apache.rocketmq.tools.command.MQAdminStartup
while [ $# -gt 0 ]; do
    case $1 in
    --base) base=$(cd "$2" && pwd); shift 2;;
    --class) main=$2; shift 2;;
    *) break;;
    esac
done
[ -n "$base" ] && [ -r "$base/settings" ] || die "usage: mqadmin.sh --base DIR [--class MAIN] COMMAND ..."
. "$base/settings"
opts="${RMQ_TOOL_OPTS:--Xms32m -Xmx256m -XX:TieredStopAtLevel=1}"
[ "$tls" = enforcing ] && opts="$opts -Dtls.enable=true -Dtls.config.file=$base/tls/tls.properties"
cds=
[ -r "$lib/tools.jsa" ] && cds="-XX:SharedArchiveFile=$lib/tools.jsa -Xlog:cds=off -Xlog:cds+dynamic=off"
ROCKETMQ_HOME=$base NAMESRV_ADDR=127.0.0.1:$port exec "$(rmq_java)" $opts -XX:+UseSerialGC \
    -XX:-UsePerfData -XX:+IgnoreUnrecognizedVMOptions $cds $RMQ_OPENS \
    -Djava.net.preferIPv4Stack=true -Duser.home="$base/home" -Drocketmq.home.dir="$base" \
    -Drocketmq.namesrv.addr="127.0.0.1:$port" -Drmq.log="$base/logs/tools.log" -Drmq.level=WARN \
    -Drmq.logback.configurationFile="$base/conf/logback.xml" \
    -cp "$lib/*" "$main" "$@"
