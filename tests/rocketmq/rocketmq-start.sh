#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Starts a throw-away RocketMQ cluster (1 name server, N brokers, optionally slaves and a proxy)
# on loopback; --help lists all options.  Prints "namesrv=127.0.0.1:PORT" as its last line.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/rocketmq-common.sh"

usage() {
    cat <<USAGE
usage: rocketmq-start.sh --base DIR [options]
  --base DIR        everything of this cluster lives under DIR (config, store, logs, pids)
  --version V       RocketMQ version, fetched by fetch.sh          (default 5.5.0)
  --lib DIR         jars of another folder instead
  --port N          name server port                (default 30876)
                    broker i: N+10*(i+1) (fast/"VIP" port 2 lower, HA port 1 higher);
                    slave i: 5 higher; proxy: gRPC N+3, remoting N+4
  --cluster NAME    cluster name                    (default DefaultCluster)
  --brokers N       number of master brokers        (default 1), named NAME-PREFIX-0, -1, ...
  --broker-prefix P broker name prefix              (default broker)
  --slaves          one slave (brokerId 1) per master
  --queues N        defaultTopicQueueNums           (default 4)
  --heap MS:MX      broker heap                     (default 128m:256m)
  --acl USER:SECRET 5.x authentication + authorization with this super user
  --plain-acl USER:SECRET  the ACL of RocketMQ 4 and up to 5.2 (plain_acl.yml)
  --tls MODE        permissive | enforcing (self-made CA under DIR/tls); default disabled
  --proxy           also start a proxy (cluster mode)
  --no-auto-create  autoCreateTopicEnable=false, autoCreateSubscriptionGroup=false
  --set KEY=VALUE   any broker property, repeatable
  --jvm OPT         any extra JVM option for brokers, repeatable
  --clean           delete DIR first (refused while something of it runs)
  --only NAME       start just namesrv | broker-i | slave-i | proxy again with the files that an
                    earlier start wrote (all other options but --base are then ignored)
  --timeout S       seconds to wait for readiness   (default 90)
  --host ADDRESS    what brokers call themselves; all listen on every address then (for clients in
                    network namespaces; default: loopback only)
  --quiet           only the last line
  --archive         write class-data archives LIB/*.jsa when this cluster is stopped with
                    rocketmq-stop.sh; later starts use them and are faster (fetch.sh does this)
USAGE
    exit "${1:-2}"
}

base= version=5.5.0 lib= port=30876 cluster=DefaultCluster brokers=1 prefix=broker slaves=0 queues=4
heap=128m:256m acl= placl= tls=disabled proxy=0 auto=true clean=0 only= limit=90 quiet=0 archive=0
sets=() jvm=() host=127.0.0.1
while [ $# -gt 0 ]; do
    case $1 in
    --base) base=$2; shift;;
    --version) version=$2; shift;;
    --lib) lib=$2; shift;;
    --port) port=$2; shift;;
    --cluster) cluster=$2; shift;;
    --brokers) brokers=$2; shift;;
    --broker-prefix) prefix=$2; shift;;
    --slaves) slaves=1;;
    --queues) queues=$2; shift;;
    --heap) heap=$2; shift;;
    --acl) acl=$2; shift;;
    --plain-acl) placl=$2; shift;;
    --tls) tls=$2; shift;;
    --proxy) proxy=1;;
    --no-auto-create) auto=false;;
    --set) sets+=("$2"); shift;;
    --jvm) jvm+=("$2"); shift;;
    --host) host=$2; shift;;
    --clean) clean=1;;
    --only) only=$2; shift;;
    --timeout) limit=$2; shift;;
    --quiet) quiet=1;;
    --archive) archive=1;;
    -h|--help) usage 0;;
    *) echo "unknown option $1" >&2; usage;;
    esac
    shift
done
[ -n "$base" ] || usage
say() { [ "$quiet" = 1 ] || echo "$@"; }
now_ms() { echo $(($(date +%s%N) / 1000000)); }

if [ "$clean" = 1 ] && [ -z "$only" ] && [ -d "$base" ]; then
    b=$(cd "$base" && pwd)
    for f in "$b"/pids/*.pid; do
        [ -e "$f" ] || continue
        n=$(basename "$f" .pid)
        rmq_alive "$b" "$n" >/dev/null && die "$n of $b is running; stop it first"
    done
    [ -e "$b/.rocketmq-run" ] || [ -z "$(ls -A "$b")" ] || die "$b was not made by this script, not deleting it"
    rm -rf "$b"
fi
mkdir -p "$base"
base=$(cd "$base" && pwd)
mkdir -p "$base"/{conf,logs,pids,store,home}
touch "$base/.rocketmq-run"

if [ -n "$only" ]; then
    [ -r "$base/settings" ] || die "no $base/settings: --only needs an earlier full start"
    . "$base/settings"
else
    lib=${lib:-$RMQ_LIBS/rocketmq-$version}
    [ -d "$lib" ] || die "no jar folder $lib; run $here/fetch.sh $version"
    lib=$(cd "$lib" && pwd)
    {
        for v in lib port cluster brokers prefix slaves queues heap acl placl tls proxy host; do
            printf '%s=%q\n' "$v" "${!v}"
        done
        printf 'jvm=(%s)\n' "${jvm[*]+$(printf '%q ' "${jvm[@]}")}"
    } > "$base/settings"
fi
java=$(rmq_java)
ns=127.0.0.1:$port
bind=127.0.0.1
[ "$host" = 127.0.0.1 ] || bind=0.0.0.0

# ---------------------------------------------------------------- configuration files
if [ -z "$only" ]; then
    cat > "$base/conf/logback.xml" <<XML
<configuration>
  <appender name="F" class="ch.qos.logback.core.FileAppender">
    <file>\${rmq.log}</file>
    <encoder><pattern>%d{HH:mm:ss.SSS} %p %t %c{0} - %m%n</pattern></encoder>
  </appender>
  <logger name="RocketmqTransaction" level="ERROR"/>
  <root level="\${rmq.level:-WARN}"><appender-ref ref="F"/></root>
</configuration>
XML
    # RocketMQ 5 carries logback under a package name of its own, RocketMQ 4 the plain one
    if ls "$lib" | grep -q '^rocketmq-logback-classic'; then
        sed -i 's/class="ch\.qos/class="org.apache.rocketmq.logging.ch.qos/' "$base/conf/logback.xml"
    else
        for n in namesrv broker tools; do cp "$base/conf/logback.xml" "$base/conf/logback_$n.xml"; done
    fi

    {
        echo "listenPort=$port"
        echo "bindAddress=$bind"
        echo "kvConfigPath=$base/home/kvConfig.json"
        echo "configStorePath=$base/home/namesrv.properties"
        echo "serverWorkerThreads=2"
        echo "serverSelectorThreads=1"
    } > "$base/conf/namesrv.properties"

    if [ "$tls" != disabled ] && [ ! -e "$base/tls/server.key" ]; then
        mkdir -p "$base/tls"
        (
            cd "$base/tls"
            openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj "/CN=rocketmq test CA" \
                -keyout ca.key -out ca.pem
            openssl req -newkey rsa:2048 -nodes -subj "/CN=localhost" -keyout s.key -out s.csr
            printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\n' > ext
            openssl x509 -req -in s.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 3650 \
                -extfile ext -out server.pem
            openssl pkcs8 -topk8 -nocrypt -in s.key -out server.key
            rm -f s.key s.csr ext
        ) >"$base/logs/openssl.log" 2>&1
        cat > "$base/tls/tls.properties" <<TLS
tls.test.mode.enable=false
tls.server.need.client.auth=none
tls.server.keyPath=$base/tls/server.key
tls.server.certPath=$base/tls/server.pem
tls.server.authClient=false
tls.client.trustCertPath=$base/tls/ca.pem
tls.client.authServer=false
TLS
    fi

    broker_conf() { # NAME BROKERNAME ID ROLE PORT
        {
            echo "brokerClusterName=$cluster"
            echo "brokerName=$2"
            echo "brokerId=$3"
            echo "brokerRole=$4"
            echo "namesrvAddr=$ns"
            echo "brokerIP1=$host"
            echo "brokerIP2=$host"
            echo "bindAddress=$bind"
            echo "listenPort=$5"
            echo "haListenPort=$(($5 + 1))"
            echo "storePathRootDir=$base/store/$1"
            echo "storePathCommitLog=$base/store/$1/commitlog"
            echo "flushDiskType=ASYNC_FLUSH"
            echo "transientStorePoolEnable=false"
            echo "warmMapedFileEnable=false"
            echo "autoCreateTopicEnable=$auto"
            echo "autoCreateSubscriptionGroup=$auto"
            echo "defaultTopicQueueNums=$queues"
            # small files: sparse, but every one of them is a mapping
            echo "mappedFileSizeCommitLog=67108864"
            echo "mappedFileSizeConsumeQueue=2000000"
            echo "mappedFileSizeTimerLog=8388608"
            echo "maxHashSlotNum=50000"
            echo "maxIndexNum=200000"
            # a test machine may have a full disk or no CPU to spare: do not refuse for that
            echo "diskMaxUsedSpaceRatio=95"
            echo "deleteWhen=04"
            echo "fileReservedTime=24"
            echo "osPageCacheBusyTimeOutMills=5000"
            echo "waitTimeMillsInSendQueue=3000"
            # few threads
            echo "serverWorkerThreads=2"
            echo "serverSelectorThreads=1"
            echo "sendMessageThreadPoolNums=2"
            echo "pullMessageThreadPoolNums=4"
            echo "litePullMessageThreadPoolNums=2"
            echo "ackMessageThreadPoolNums=2"
            echo "processReplyMessageThreadPoolNums=2"
            echo "queryMessageThreadPoolNums=2"
            echo "adminBrokerThreadPoolNums=2"
            echo "clientManageThreadPoolNums=2"
            echo "consumerManageThreadPoolNums=2"
            echo "loadBalanceProcessorThreadPoolNums=2"
            echo "endTransactionThreadPoolNums=2"
            # quick half-transaction checks and rebalance for tests
            echo "transactionTimeOut=3000"
            echo "transactionCheckInterval=3000"
            # a service of the broker spins for this long (default 10 s) after every start
            echo "transactionMetricFlushInterval=500"
            echo "timerFlushIntervalMs=3000"
            echo "traceTopicEnable=true"
            echo "slaveReadEnable=true"
            echo "enablePropertyFilter=true"
            echo "enableCalcFilterBitMap=false"
            if [ -n "$acl" ]; then
                echo "authenticationEnabled=true"
                echo "authenticationProvider=org.apache.rocketmq.auth.authentication.provider.DefaultAuthenticationProvider"
                echo "authenticationMetadataProvider=org.apache.rocketmq.auth.authentication.provider.LocalAuthenticationMetadataProvider"
                echo "initAuthenticationUser={\"username\":\"${acl%%:*}\",\"password\":\"${acl#*:}\"}"
                echo "innerClientAuthenticationCredentials={\"accessKey\":\"${acl%%:*}\",\"secretKey\":\"${acl#*:}\"}"
                echo "authorizationEnabled=true"
                echo "authorizationProvider=org.apache.rocketmq.auth.authorization.provider.DefaultAuthorizationProvider"
                echo "authorizationMetadataProvider=org.apache.rocketmq.auth.authorization.provider.LocalAuthorizationMetadataProvider"
            fi
            if [ -n "$placl" ]; then echo "aclEnable=true"; fi
            for kv in ${sets[@]+"${sets[@]}"}; do
                case $4:$kv in SLAVE:brokerRole=*) ;; *) echo "$kv";; esac
            done
        } > "$base/conf/$1.properties"
    }
    for ((i = 0; i < brokers; i++)); do
        role=ASYNC_MASTER
        broker_conf "broker-$i" "$prefix-$i" 0 $role $((port + 10 * (i + 1)))
        if [ "$slaves" = 1 ]; then
            broker_conf "slave-$i" "$prefix-$i" 1 SLAVE $((port + 10 * (i + 1) + 5))
        fi
    done
    if [ -n "$acl" ]; then
        printf 'accessKey: %s\nsecretKey: %s\n' "${acl%%:*}" "${acl#*:}" > "$base/conf/tools.yml"
    fi
    if [ -n "$placl" ]; then
        printf 'accounts:\n- accessKey: %s\n  secretKey: %s\n  whiteRemoteAddress:\n  admin: true\n' \
            "${placl%%:*}" "${placl#*:}" > "$base/conf/plain_acl.yml"
        printf 'accessKey: %s\nsecretKey: %s\n' "${placl%%:*}" "${placl#*:}" > "$base/conf/tools.yml"
    fi
    if [ "$proxy" = 1 ]; then
        # with ACL the proxy calls the brokers under these credentials; it passes its clients' own
        # signatures on and checks nothing itself
        pauth=
        if [ -n "$acl" ]; then
            pauth=",\"innerClientAuthenticationCredentials\":\"{\\\"accessKey\\\":\\\"${acl%%:*}\\\",\\\"secretKey\\\":\\\"${acl#*:}\\\"}\""
        fi
        cat > "$base/conf/rmq-proxy.json" <<JSON
{"rocketMQClusterName":"$cluster","proxyClusterName":"$cluster","proxyName":"proxy-0","localServeAddr":"127.0.0.1",
 "namesrvAddr":"$ns","proxyMode":"CLUSTER","grpcServerPort":$((port + 3)),"remotingListenPort":$((port + 4)),
 "grpcBossLoopNum":1,"grpcWorkerLoopNum":2,"grpcThreadPoolNums":2,"enableACL":false,
 "useEndpointPortFromRequest":true,"enableProxyAutoRenew":true$pauth}
JSON
    fi
fi

# ---------------------------------------------------------------- processes
tlsopt="-Dtls.server.mode=$tls"
if [ "$tls" != disabled ]; then
    tlsopt="$tlsopt -Dtls.config.file=$base/tls/tls.properties"
    if [ "$tls" = enforcing ]; then tlsopt="$tlsopt -Dtls.enable=true"; fi
fi

launch() { # NAME MAINCLASS "JVM OPTIONS" ARGS...
    local name=$1 main=$2 opts=$3
    shift 3
    local pid k cds jsa=$lib/${name%%-*}.jsa
    # class data sharing: the archive of an earlier run (see --archive) halves the start time
    if [ "$archive" = 1 ]; then rm -f "$jsa"; cds="-XX:ArchiveClassesAtExit=$jsa -Xlog:cds=off -Xlog:cds+dynamic=off"
    elif [ -r "$jsa" ]; then cds="-XX:SharedArchiveFile=$jsa -Xlog:cds=off -Xlog:cds+dynamic=off"
    else cds=; fi
    if pid=$(rmq_alive "$base" "$name"); then say "$name already runs (pid $pid)"; return; fi
    rm -f "$base/pids/$name.pid"
    # own session: a test harness that signals its process group leaves the cluster alone
    ROCKETMQ_HOME=$base setsid "$java" -Drmq.base="$base" -Drmq.name="$name" \
        $opts -XX:+UseSerialGC -XX:+IgnoreUnrecognizedVMOptions -XX:-UsePerfData -Xss256k \
        -XX:ReservedCodeCacheSize=64m $cds $RMQ_OPENS \
        -Djava.net.preferIPv4Stack=true -Duser.home="$base/home" -Drocketmq.home.dir="$base" \
        -Drmq.logback.configurationFile="$base/conf/logback.xml" \
        -Dlogback.configurationFile="$base/conf/logback.xml" \
        -Drmq.log="$base/logs/$name.log" -Drmq.level="${RMQ_LOG_LEVEL:-WARN}" \
        -Drocketmq.broker.diskSpaceWarningLevelRatio=0.98 \
        -Drocketmq.broker.diskSpaceCleanForciblyRatio=0.96 \
        -Dcom.rocketmq.remoting.client.connect.timeout=3000 \
        $tlsopt -cp "$lib/*" "$main" "$@" \
        </dev/null >"$base/logs/$name.out" 2>&1 &
    pid=$!
    echo $pid > "$base/pids/$name.pid"
    disown $pid 2>/dev/null || true
    # until exec the new process still has this script's command line
    for ((k = 0; k < 500; k++)); do
        if rmq_alive "$base" "$name" >/dev/null || rmq_gone $pid; then break; fi
        sleep 0.01
    done
}

need_free() { # NAME PORT...: unless NAME runs already, nobody may hold its ports (another cluster!)
    local n=$1 p
    rmq_alive "$base" "$n" >/dev/null && return
    shift
    for p in "$@"; do
        if rmq_port_open "$p"; then die "port $p, wanted by $n, is taken; choose another --port"; fi
    done
}
want() { [ -z "$only" ] || [ "$only" = "$1" ]; }
t0=$(now_ms)
deadline=$((t0 + limit * 1000))
failed() {
    echo "rocketmq-start: $1" >&2
    for f in "$base/logs/$2.out" "$base/logs/$2.log"; do
        if [ -s "$f" ]; then echo "-- $f" >&2; tail -n 20 "$f" >&2; fi
    done
    exit 1
}
step() { # NAME: still alive and in time?
    rmq_alive "$base" "$1" >/dev/null || failed "$1 exited" "$1"
    [ "$(now_ms)" -lt "$deadline" ] || failed "$1 not ready in ${limit}s" "$1"
    sleep 0.1
}

names=()
for ((i = 0; i < brokers; i++)); do
    names+=("broker-$i")
    if [ "$slaves" = 1 ]; then names+=("slave-$i"); fi
done
if want namesrv; then need_free namesrv "$port"; fi
for n in ${names[@]+"${names[@]}"}; do
    want "$n" || continue
    p=$(sed -n 's/^listenPort=//p' "$base/conf/$n.properties")
    need_free "$n" "$p" $((p - 2)) $((p + 1))
done

if want namesrv; then
    launch namesrv org.apache.rocketmq.namesrv.NamesrvStartup \
        "-Xms24m -Xmx96m -XX:MaxDirectMemorySize=64m -XX:TieredStopAtLevel=1" \
        -c "$base/conf/namesrv.properties"
    # before the brokers: one that cannot register at once tries again only after 10 s
    until rmq_port_open "$port"; do step namesrv; done
    say "namesrv ready after $(($(now_ms) - t0)) ms (pid $(cat "$base/pids/namesrv.pid"))"
fi
started=()
for n in ${names[@]+"${names[@]}"}; do
    want "$n" || continue
    launch "$n" org.apache.rocketmq.broker.BrokerStartup \
        "-Xms${heap%%:*} -Xmx${heap#*:} -XX:MaxDirectMemorySize=256m ${jvm[*]+${jvm[*]}}" \
        -c "$base/conf/$n.properties"
    started+=("$n")
done

if [ "$tls" = enforcing ]; then RMQ_TLS=1; fi
probe() { rmq_route "$port" SELF_TEST_TOPIC | grep -qF "$host:$1\""; }
for n in ${started[@]+"${started[@]}"}; do
    p=$(sed -n 's/^listenPort=//p' "$base/conf/$n.properties")
    until rmq_port_open "$p"; do step "$n"; done
    for ((k = 0; ; k++)); do
        if probe "$p"; then break; fi
        # (a slave never serves writes: permission 4 is forced by its role, not by this)
        if [ $((k % 8)) = 2 ]; then rmq_register "$p" "${acl:-$placl}" >/dev/null || true; fi
        step "$n"
    done
    say "$n ready on 127.0.0.1:$p after $(($(now_ms) - t0)) ms (pid $(cat "$base/pids/$n.pid"))"
done
if [ "$proxy" = 1 ] && want proxy; then
    # the proxy creates this topic of its own without signing, so with ACL it has to be there
    for ((i = 0; i < brokers; i++)); do
        rmq_topic $((port + 10 * (i + 1))) DefaultHeartBeatSyncerTopic 1 "$acl" >/dev/null || true
    done
    launch proxy org.apache.rocketmq.proxy.ProxyStartup \
        "-Xms96m -Xmx256m -XX:MaxDirectMemorySize=128m -Dcom.rocketmq.proxy.configPath=$base/conf/rmq-proxy.json" \
        -pc "$base/conf/rmq-proxy.json" -n "$ns"
    until rmq_port_open $((port + 3)) && rmq_port_open $((port + 4)); do step proxy; done
    say "proxy ready (gRPC 127.0.0.1:$((port + 3)), remoting 127.0.0.1:$((port + 4))) after $(($(now_ms) - t0)) ms"
fi
echo "namesrv=$ns"
