# SPDX-License-Identifier: Apache-2.0
# Shared by fetch.sh, rocketmq-start.sh, rocketmq-stop.sh and mqadmin.sh (bash; sourced, not run).

# Where fetch.sh puts the jars: a folder rocketmq-VERSION each.
RMQ_LIBS=${RMQ_LIBS:-${XDG_CACHE_HOME:-$HOME/.cache}/rocketmq-connect-c}

die() { echo "${0##*/}: $*" >&2; exit 1; }

rmq_java() {
    if [ -n "${JAVA_HOME:-}" ] && [ -x "$JAVA_HOME/bin/java" ]; then echo "$JAVA_HOME/bin/java"
    else command -v java || die "no java found"; fi
}

# Modules that RocketMQ reaches into on JDK 9+ (netty, rocksdb loader, mapped-file unmapping).
RMQ_OPENS="--add-opens=java.base/java.nio=ALL-UNNAMED --add-opens=java.base/sun.nio.ch=ALL-UNNAMED \
--add-opens=java.base/java.lang=ALL-UNNAMED --add-exports=java.base/jdk.internal.ref=ALL-UNNAMED \
--add-exports=java.base/sun.nio.ch=ALL-UNNAMED --add-exports=java.base/sun.security.x509=ALL-UNNAMED"

# rmq_port_open PORT: does something accept on 127.0.0.1:PORT?
rmq_port_open() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# rmq_free_base: a name server port for a small cluster, below the ephemeral ports, whose
# neighbours nobody holds either. Somebody may still take them before the servers start.
rmq_free_base() {
    local try base off
    for ((try = 0; try < 100; try++)); do
        base=$((20000 + RANDOM % 120 * 100))
        for off in 0 8 10 11; do rmq_port_open $((base + off)) && continue 2; done
        echo "$base"
        return
    done
    die "no free ports found between 20000 and 32000"
}

# be32 N: N as four big-endian bytes, written as printf escapes
be32() { printf '\\x%02x\\x%02x\\x%02x\\x%02x' $(($1 >> 24 & 255)) $(($1 >> 16 & 255)) $(($1 >> 8 & 255)) $(($1 & 255)); }

# rmq_call PORT HEADER_JSON [BODY]: one request of the remoting protocol; prints the reply
# (header JSON followed by the body), so that readiness needs no second JVM.
rmq_call() {
    local hdr=$2 body=${3:-} n
    if [ "${RMQ_TLS:-0}" = 1 ]; then
        python3 - "$1" "$hdr" "$body" 2>/dev/null <<'PY'
import socket, ssl, struct, sys
header, body = sys.argv[2].encode(), sys.argv[3].encode()
with socket.create_connection(("127.0.0.1", int(sys.argv[1])), 2) as plain:
    wire = ssl._create_unverified_context().wrap_socket(plain)
    wire.sendall(struct.pack(">II", 4 + len(header) + len(body), len(header)) + header + body)
    reply = wire.makefile("rb")
    sys.stdout.buffer.write(reply.read(struct.unpack(">II", reply.read(8))[0] - 4))
PY
        return
    fi
    exec 3<>"/dev/tcp/127.0.0.1/$1" || return 1
    printf "$(be32 $((4 + ${#hdr} + ${#body})))$(be32 ${#hdr})" >&3
    printf '%s' "$hdr$body" >&3
    n=$(timeout 2 head -c 4 <&3 | od -An -tu1 | awk 'NF==4{print (($1*256+$2)*256+$3)*256+$4}')
    [ -n "$n" ] && timeout 2 head -c "$n" <&3 | tail -c +5 | tr -d '\000'
    exec 3>&- 3<&-
}

# rmq_route NAMESRV_PORT TOPIC: the route reply of a topic
rmq_route() {
    rmq_call "$1" "{\"code\":105,\"extFields\":{\"topic\":\"$2\"},\"flag\":0,\"language\":\"CPP\",\"opaque\":1,\"version\":0}" 2>/dev/null
}

# rmq_register BROKER_PORT [USER:SECRET]: have a broker register with its name servers now.
# A fresh broker sometimes misses its first chance and would wait 10 s for the next; setting
# brokerPermission (6 = read and write, what it is anyway) makes it register at once.
rmq_register() {
    local body=brokerPermission=6 ext= sig
    if [ -n "${2:-}" ]; then
        sig=$(printf '%s' "${2%%:*}$body" | openssl dgst -sha1 -hmac "${2#*:}" -binary | base64)
        ext=",\"extFields\":{\"AccessKey\":\"${2%%:*}\",\"Signature\":\"$sig\"}"
    fi
    rmq_call "$1" "{\"code\":25,\"flag\":0,\"language\":\"CPP\",\"opaque\":2,\"version\":0$ext}" "$body" 2>/dev/null
}

# rmq_topic BROKER_PORT TOPIC QUEUES [USER:SECRET]: create a topic
rmq_topic() {
    local sig= f
    f="\"defaultTopic\":\"TBW102\",\"order\":\"false\",\"perm\":\"6\",\"readQueueNums\":\"$3\",\"topic\":\"$2\",\"topicFilterType\":\"SINGLE_TAG\",\"topicSysFlag\":\"0\",\"writeQueueNums\":\"$3\""
    if [ -n "${4:-}" ]; then
        sig=$(printf '%s' "${4%%:*}TBW102false6$3$2SINGLE_TAG0$3" | openssl dgst -sha1 -hmac "${4#*:}" -binary | base64)
        f="\"AccessKey\":\"${4%%:*}\",\"Signature\":\"$sig\",$f"
    fi
    rmq_call "$1" "{\"code\":17,\"flag\":0,\"language\":\"CPP\",\"opaque\":3,\"version\":513,\"extFields\":{$f}}" 2>/dev/null
}

# rmq_alive BASE NAME: prints the pid when BASE/pids/NAME.pid names a live process that
# carries this base directory on its command line (guards against reused pids).
rmq_alive() {
    local pid
    pid=$(cat "$1/pids/$2.pid" 2>/dev/null) || return 1
    [ -n "$pid" ] && [ -r "/proc/$pid/cmdline" ] || return 1
    tr '\000' '\n' < "/proc/$pid/cmdline" 2>/dev/null | grep -qxF -e "-Drmq.base=$1" || return 1
    echo "$pid"
}

# rmq_gone PID: has the process really ended, sockets closed and all?  Its command line is empty
# and its first thread a zombie some time before that, while other threads still exit.  A
# zombie without other threads has ended; nobody may be there to reap it.
rmq_gone() {
    local st
    st=$(sed -n 's/^State:[[:space:]]*\(.\).*/\1/p' "/proc/$1/status" 2>/dev/null) || return 0
    [ -z "$st" ] && return 0
    [ "$st" = Z ] && [ "$(ls "/proc/$1/task" 2>/dev/null | wc -l)" -le 1 ]
}
