#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Proves that the tests can fail: scripts/mutants.sh [--quick] [NAME...]
#
# Each tests/mutants/NAME.patch breaks the program in one way and says in its head which test must
# notice ("Catch:"). For each, in a copy of the tree: apply, build only what the test needs, run
# the test, and take the patch back. A mutant that survives, or whose patch does not fit any more,
# is a failure. --quick: only those with "Quick: yes", one per module with a unit test.
#
#   Catch: test NAME            the CTest entry NAME, built as the target NAME
#   Catch: show NAME [ARG...]   scripts/show/NAME.py with these arguments
#   Catch: pytest FILE [ARG...] tests/integration/FILE
#   Catch: java                 the Java host's unit tests
#   Catch: java-pytest FILE [ARG...]  tests/integration/FILE, with the Java host of the copy
#
# The copy stays in build/mutants (or $MUTANTS_DIR), so that a second run builds little.
set -euo pipefail
cd "$(dirname "$0")/.."
top=$PWD
work=${MUTANTS_DIR:-$top/build/mutants}
tree=$work/tree
quick=
names=()
for arg in "$@"; do
    case $arg in
    --quick) quick=yes ;;
    -h | --help) sed -n '3,18s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) names+=("$arg") ;;
    esac
done
mkdir -p "$tree" "$work/logs"
export CCACHE_BASEDIR=$tree CCACHE_NOHASHDIR=1
export SHOW_SEED=${SHOW_SEED:-20261122}
unset SHOW_BIN RC_BUILD || true

# Files of the working tree, without those that git ignores. Times are kept: ninja sees what is new.
copy_tree() {
    git ls-files -z --cached --others --exclude-standard | while IFS= read -r -d '' file; do
        [ ! -e "$file" ] || cmp -s "$file" "$tree/$file" || printf '%s\0' "$file"
    done >"$work/changed"
    [ ! -s "$work/changed" ] ||
        tar -c --no-recursion --null -T "$work/changed" | tar -x -m -C "$tree"
    # What was renamed or removed must not be compiled.
    (cd "$tree" && find . -type f -not -path './build/*' -printf '%P\0') |
        while IFS= read -r -d '' file; do
            [ -e "$top/$file" ] || rm -f "$tree/$file"
        done
}

head_of() { # NAME KEY
    sed -n "1,/^---/s/^$2: *//p" "$top/tests/mutants/$1.patch" | head -1
}

build_java() { # [--test]
    bash "$tree/scripts/build-java-host.sh" "$@" "$tree/build/hosts/java" &&
        bash "$tree/tests/hosts/java/build.sh" "$tree/build/hosts/example"
}

build() { # TARGET...
    case " $* " in
    *" java_host "*) build_java || return ;;
    esac
    set -- $(printf '%s\n' "$@" | grep -vx java_host)
    [ $# -gt 0 ] || return 0
    cmake -G Ninja -S "$tree" -B "$tree/build/mutant" -DCMAKE_BUILD_TYPE=RelWithDebInfo \
        -DRC_TESTS=ON >/dev/null && ninja -C "$tree/build/mutant" "$@"
}

target_of() { # CATCH
    case $1 in
    test\ *) echo "${1#test }" ;;
    java) echo java_host ;;
    java-pytest\ *) echo java_host rocketmq-connect ;;
    *) echo rocketmq-connect ;;
    esac
}

# The tests of plugins load .so files that belong to no target by name.
extra_of() {
    case $1 in
    "test plugin_"*) echo tests/unit/plugin/all ;;
    esac
}

run_test() { # CATCH; status 0 = the test passes
    local words
    read -ra words <<<"$1"
    case ${words[0]} in
    test) (cd "$tree/build/mutant" && timeout 150 ctest -R "^${words[1]}\$" --no-tests=error \
        --output-on-failure) ;;
    show)
        rm -rf "$work/show" && mkdir -p "$work/show" &&
            SHOW_BIN=$tree/build/mutant/rocketmq-connect SHOW_DIR=$work/show timeout 600 \
                python3 "$top/scripts/show/${words[1]}.py" "${words[@]:2}" ;;
    pytest) RC_BUILD=$tree/build/mutant timeout 600 \
        python3 -m pytest -q "$top/tests/integration/${words[1]}" "${words[@]:2}" ;;
    java) build_java --test ;;
    java-pytest) RC_BUILD=$tree/build/mutant timeout 600 \
        python3 -m pytest -q "$tree/tests/integration/${words[1]}" "${words[@]:2}" ;;
    *) echo "unknown Catch: $1"; return 0 ;;
    esac
}

# Prints caught, survived, stale, unbuilt (the mutant does not compile).
try_mutant() { # NAME
    local patch=$top/tests/mutants/$1.patch catch files
    catch=$(head_of "$1" Catch)
    files=$(sed -n 's,^+++ b/,,p' "$patch")
    if ! patch -d "$tree" -p1 -s -F3 --dry-run <"$patch" >/dev/null 2>&1; then
        echo stale
        return
    fi
    patch -d "$tree" -p1 -s -F3 --no-backup-if-mismatch <"$patch"
    if ! build $(target_of "$catch") $(extra_of "$catch"); then
        echo unbuilt >&3
    elif run_test "$catch"; then
        echo survived >&3
    else
        echo caught >&3
    fi
    for file in $files; do
        cp "$top/$file" "$tree/$file" # with a new time, so that it is compiled again
    done
}

if [ ${#names[@]} -eq 0 ]; then
    for patch in tests/mutants/*.patch; do
        name=$(basename "$patch" .patch)
        [ -z "$quick" ] || [ "$(head_of "$name" Quick)" = yes ] || continue
        names+=("$name")
    done
fi

began=$(date +%s)
copy_tree
targets=()
catches=()
for name in "${names[@]}"; do
    [ -f "tests/mutants/$name.patch" ] || { echo "mutants: there is no '$name'" >&2; exit 2; }
    catch=$(head_of "$name" Catch)
    targets+=($(target_of "$catch") $(extra_of "$catch"))
    catches+=("$catch")
done
if ! build -k 0 $(printf '%s\n' "${targets[@]}" | sort -u) >"$work/logs/build.log" 2>&1; then
    echo "not all of the tree builds without a mutant; log: $work/logs/build.log"
fi
echo "built without mutants in $(($(date +%s) - began)) s"

# A test that fails anyway catches nothing.
printf '%s\n' "${catches[@]}" | sort -u >"$work/catches"
healthy=()
while IFS= read -r catch; do
    if run_test "$catch" >"$work/logs/unbroken.log" 2>&1 </dev/null; then
        healthy+=("$catch")
    else
        echo "FAILS UNBROKEN: $catch"
        sed 's/^/    /' "$work/logs/unbroken.log" | tail -8
    fi
done <"$work/catches"

caught=0 bad=0
for name in "${names[@]}"; do
    catch=$(head_of "$name" Catch)
    at=$(date +%s)
    result=unproven
    for ok in "${healthy[@]}"; do
        [ "$ok" = "$catch" ] && result=
    done
    [ -n "$result" ] || { exec 3>"$work/result"
        try_mutant "$name" >"$work/logs/$name.log" 2>&1 </dev/null || true
        exec 3>&-
        result=$(cat "$work/result")
        [ -n "$result" ] || result=stale; }
    if [ "$result" = caught ]; then caught=$((caught + 1)); else bad=$((bad + 1)); fi
    printf '%-28s %-9s %3d s  %s\n' "$name" "$result" $(($(date +%s) - at)) "$catch"
done
echo "$caught caught, $bad not, of ${#names[@]} mutants in $(($(date +%s) - began)) s"
[ "$bad" -eq 0 ]
