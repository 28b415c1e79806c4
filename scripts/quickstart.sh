#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# From nothing to a first copy, in one command on a fresh machine:
#
#   scripts/quickstart.sh [FILE]
#
# Installs what is missing, builds the release, copies FILE (else one of 1 million lines made on
# the spot) to a topic of the embedded log and from there to another file, and compares the two
# byte for byte. A second run takes seconds. Everything it makes is in ./quickstart/.
set -euo pipefail

step() { printf '\n==> %s\n' "$*"; }
die() { printf 'quickstart: %s\n' "$*" >&2; exit 1; }

case ${1-} in
    -h | --help) sed -n '3,10s/^# \{0,1\}//p' "$0"; exit 0 ;;
    -*) die "unknown option '$1'; see --help" ;;
esac
[ $# -le 1 ] || die "one file at most; see --help"

input=
if [ $# -eq 1 ]; then
    [ -f "$1" ] || die "'$1' is not a file"
    [ -r "$1" ] || die "'$1' cannot be read"
    input=$(realpath "$1")
fi
cd "$(dirname "$(realpath "$0")")/.."
begun=$SECONDS
dir=$PWD/quickstart
program=$PWD/build/release/rocketmq-connect

step "1/4 Packages"
scripts/bootstrap.sh --minimal

step "2/4 Release build (build/release; the first one takes about a minute)"
mkdir -p "$dir"
log=$dir/build.log
built() { "$@" >"$log" 2>&1 || { tail -30 "$log" >&2; die "the build failed; all of it is in $log"; }; }
[ -f build/release/build.ninja ] || built cmake --preset release
built cmake --build --preset release --target rocketmq-connect
"$program" version

step "3/4 Copy: file -> topic -> file"
cd "$dir"
if [ -z "$input" ]; then
    input=$dir/lines.txt
    [ -s "$input" ] || seq 1000000 | awk '{printf "%07d the quick brown fox jumps over the lazy dog, and the log remembers every line of it in order\n", $1}' >"$input"
fi
output=$dir/copy.txt
[ "$input" != "$output" ] || die "'$output' is the copy, which is written anew; name another file"
quoted() { printf "'%s'" "${1//\'/\'\'}"; } # as YAML writes it
cat >copy.yaml <<YAML
# Written by scripts/quickstart.sh. Keys: $program docs connectors
name: quickstart
source:
  class: file-source
  filename: $(quoted "$input")
  bounded: true            # false: follow the file until Ctrl-C
  line.terminator: keep    # this, split and the sink's append.newline: false copy byte for byte,
  long.lines: split        # whatever the file holds; without them records are plain lines
sink:
  class: file-sink
  filename: $(quoted "$output")
  append.newline: false
YAML
rm -f "$output"
"$program" run copy.yaml --restart --progress auto

step "4/4 Compare"
cmp "$input" "$output" || die "the files differ"
size=$(stat -c %s "$input")
append=
[ "$input" != "$dir/lines.txt" ] ||
    append="  echo one more line >>lines.txt && $program run copy.yaml   # only that is copied
"
cat <<TEXT
Identical: $size bytes.
  $input
  -> topic 'quickstart' in $dir/quickstart.rc/log
  -> $output
It took $((SECONDS - begun)) s in all.

What to try next:
  cd $dir
  $program run copy.yaml                                # again: nothing new
$append  $program run copy.yaml --set source.bounded=false     # follow the file; Ctrl-C drains
  $program standalone --set storePathRootDir=$dir/worker # a worker with REST
  $program help
TEXT
