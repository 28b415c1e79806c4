#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# build.sh FOLDER: builds the connectors of this folder for tests of the Java host. FOLDER gets
# example-connectors-*.jar, and kafka/connect-file-*.jar from Maven Central.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
to=$(realpath -m "${1:?a folder}")
mkdir -p "$to"
run() {
    mvn -q -B -Dstyle.color=never "$@" -f "$here/pom.xml" -Drc.build="$to" package >"$to/maven.log" 2>&1
}
run -o || run || { cat "$to/maven.log" >&2; exit 1; }
