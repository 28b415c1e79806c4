#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Checks form and looks for mistakes: scripts/lint.sh [--format | --tidy] [file.c...]
#
# clang-format on all of our C, then clang-tidy on what the dev build compiles (minutes; it wants
# build/dev/compile_commands.json). `clang-format-14 -i FILE` repairs the first.
set -uo pipefail
cd "$(dirname "$0")/.."

what=all
case ${1:-} in
--format) what=format; shift ;;
--tidy) what=tidy; shift ;;
--*) echo "usage: scripts/lint.sh [--format | --tidy] [file.c...]" >&2; exit 2 ;;
esac
status=0

if [ "$what" != tidy ]; then
    if [ $# -gt 0 ]; then files=("$@"); else mapfile -t files < <(git ls-files '*.c' '*.h'); fi
    found=$(clang-format-14 --dry-run -Werror "${files[@]}" 2>&1 | grep -E 'error:|warning:' |
        cut -d: -f1 | sort | uniq -c)
    if [ -n "$found" ]; then
        echo "$found"
        echo "these files are not formatted (lines): clang-format-14 -i FILE"
        status=1
    else
        echo "clang-format: ${#files[@]} files ok"
    fi
fi

if [ "$what" != format ]; then
    [ -f build/dev/compile_commands.json ] || cmake --preset dev >/dev/null || exit 1
    if [ $# -gt 0 ]; then
        files=("$@")
    else
        mapfile -t files < <(git ls-files 'src/*.c' 'connectors/*.c' | grep -v /standalone/)
    fi
    if printf '%s\n' "${files[@]}" | xargs -P "$(nproc)" -n 4 \
        clang-tidy-14 -p build/dev --quiet 2>/dev/null; then
        echo "clang-tidy: ${#files[@]} files ok"
    else
        status=1
    fi
fi
exit "$status"
