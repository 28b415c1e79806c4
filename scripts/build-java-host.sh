#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# build-java-host.sh [--test] [--compat] [FOLDER]: builds the Java host into FOLDER (default
# build/hosts/java).
#
# FOLDER gets rc-host.jar, lib/*.jar and compat/, a folder for jars that connectors expect on the class
# path: Kafka's connect-runtime, and with --compat those of the Java runtime. --test also runs the unit tests. Needs Maven
# and a JDK (8 or newer); Maven's repository is asked only for what is not in ~/.m2 yet, so that a
# second run works without network.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
options=(-DskipTests)
while :; do
    case ${1:-} in
    -h | --help) sed -n '3,11s/^# \{0,1\}//p' "$0"; exit 0 ;;
    --test) options=("${options[@]/-DskipTests/-DskipTests=false}") ;;
    --compat) options+=(-Pcompat) ;;
    *) break ;;
    esac
    shift
done
to=$(realpath -m "${1:-$root/build/hosts/java}")

command -v mvn >/dev/null || {
    echo "build-java-host: no mvn found; 'apt install maven default-jdk-headless' has it" >&2
    exit 1
}
mkdir -p "$to"
run() { # OPTION ...: Maven with these, its words only when it fails
    mvn -q -B -Dstyle.color=never "$@" -f "$root/hosts/java/pom.xml" -Drc.build="$to/.work" \
        "${options[@]}" package >"$to/maven.log" 2>&1
}
# First without network: a build must not depend on it once it has worked.
if ! run -o && ! run; then
    grep -v '^\[ERROR\] *\(->\)\? *\[Help\|^$' "$to/maven.log" | head -40 >&2
    echo "build-java-host: the build failed; all of it is in $to/maven.log" >&2
    exit 1
fi
rm -rf "$to/lib"
cp -r "$to/.work/lib" "$to/lib"
cp "$to/.work/rc-host.jar" "$to/rc-host.jar"
mkdir -p "$to/compat"
if [ -d "$to/.work/compat" ]; then cp "$to"/.work/compat/*.jar "$to/compat/"; fi
rm -f "$to/maven.log"
