#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# summary: the template connector, built against the installed header only, moves records as a .so
set -uo pipefail
. scripts/show/lib.sh
count=${1:-200000}
repo=$PWD
prefix=$SHOW_DIR/prefix work=$SHOW_DIR/my-connector log=$SHOW_DIR/log
mkdir -p "$work" "$log"

# The header alone goes into an empty prefix, as a package would put it there.
cmake --install build/release --prefix "$prefix" >"$log/install" 2>&1
show_check "install the release" $? = 0
show_note "installed headers" "$(find "$prefix/include" -name '*.h' | wc -l)" "$(cd "$prefix" && find include -name '*.h' | sort | tr '\n' ' ')"
mkdir "$SHOW_DIR/only-header"
cp -r "$prefix/include" "$SHOW_DIR/only-header/include"

# An empty folder with the template's files, out of reach of the repository.
cp connectors/template/*.c connectors/template/standalone/* "$work"
cd "$work" || exit 1
show_note "lines of the template (two connectors)" "$(cat source.c sink.c | wc -l)"
cmake -S . -B build -DCMAKE_PREFIX_PATH="$SHOW_DIR/only-header" >"$log/configure" 2>&1 &&
    cmake --build build >"$log/build" 2>&1
show_check "build it with CMake" $? = 0
# Which headers it saw: the system's and the installed ones, nothing of the worker's tree.
cc -std=c11 -M -I"$SHOW_DIR/only-header/include" source.c sink.c entry.c >"$log/deps" 2>&1
show_check "headers seen from the repository" "$(grep -c "$repo" "$log/deps")" = 0
grep -ho -- '-I[^ ]*' -r build/CMakeFiles/*/flags.make build/build.ninja 2>/dev/null | sort -u |
    grep -v "only-header" >"$log/includes"
show_check "other include folders in its build" "$(wc -l <"$log/includes")" = 0
# One compiler call, as the guide says for those without CMake.
cc -std=c11 -D_POSIX_C_SOURCE=200809L -shared -fPIC -fvisibility=hidden -Wl,-z,defs \
    -I"$SHOW_DIR/only-header/include" source.c sink.c entry.c -o one-line.so >"$log/cc" 2>&1
show_check "build it with one call of cc" $? = 0
show_check "symbols it exports" "$(nm -D --defined-only build/template.so | awk '{print $3}' | sort | tr '\n' ' ')" = "omc_plugin_entry "
show_check "symbols it wants that are not of libc" \
    "$(nm -D --undefined-only build/template.so | grep -cE ' (omc|rc|rmq|uv|json|sqlite)_')" = 0
show_note "size of template.so" "$(stat -c %s build/template.so)" "bytes"

# The installed program, not the one in the build folder.
program=$prefix/bin/rocketmq-connect
"$program" plugin probe build/template.so >"$log/probe" 2>&1
show_check "plugin probe" $? = 0

show_lines "$count" 100 in.txt
seq -f "hello %.0f" 1 "$count" >wanted.txt
# A worker with pluginPaths; the connectors are made with commands.
printf 'httpPort=0\nstorePathRootDir=%s\npluginPaths=%s\n' "$SHOW_DIR/store" "$work/build/template.so" >worker.conf
"$program" standalone -c worker.conf >"$log/worker" 2>&1 &
worker=$!
trap 'kill -9 $worker 2>/dev/null' EXIT
for _ in $(seq 200); do
    port=$(sed -n 's/.*REST on http:\/\/127.0.0.1:\([0-9]*\).*/\1/p' "$log/worker")
    [ -n "$port" ] && break
    sleep 0.05
done
export ROCKETMQ_CONNECT_URL=http://127.0.0.1:$port
show_check "the worker loads it" "$("$program" plugin list | grep -c template-)" = 2
# Its source to its sink, and a file to its sink.
create() { "$program" connector create "$@" --wait >>"$log/create" 2>&1; }
create greet connector.class=template-source connect.topicname=greetings greeting=hello \
    "count=$count" &&
    create greetings connector.class=template-sink connect.topicnames=greetings \
        "filename=$work/greetings.txt" &&
    create lines connector.class=file-source connect.topicname=lines "filename=$work/in.txt" &&
    create copied connector.class=template-sink connect.topicnames=lines "filename=$work/out.txt"
show_check "create two sources and two sinks" $? = 0
began=$(date +%s.%N)
arrived() { [ "$(stat -c %s "$1" 2>/dev/null || echo 0)" -ge "$(stat -c %s "$2")" ]; }
for _ in $(seq 600); do
    arrived greetings.txt wanted.txt && arrived out.txt in.txt && break
    sleep 0.1
done
show_note "moved within" "$(show_since "$began") s" "$count records by each pair"
cmp wanted.txt greetings.txt >>"$log/cmp" 2>&1
show_check "template to template: as expected" $? = 0 "sha256 $(sha256sum <greetings.txt | cut -c1-16)"
cmp in.txt out.txt >>"$log/cmp" 2>&1
show_check "file to template: out.txt is in.txt" $? = 0 "sha256 $(sha256sum <out.txt | cut -c1-16)"
"$program" connector list
kill -TERM $worker
wait $worker
show_check "the worker ends in order" $? = 0
[ "$show_failures" -eq 0 ] || tail -n 20 "$log"/*
show_end
