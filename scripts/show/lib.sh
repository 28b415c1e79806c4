# SPDX-License-Identifier: Apache-2.0
# Helpers for shows; sourced, from the root of the repository. See scripts/show.sh.
#
#   . scripts/show/lib.sh
#   show_check "lines lost" "$lost" = 0        # a row of the table; remembers a failure
#   show_check "records/s" "$rate" '>=' 1000000 "60 % of the probe"
#   show_note "bytes on disk" "$bytes"         # a row that decides nothing
#   show_end                                   # exit status of the show

show_failures=0

# Builds the release binary, whose path is $SHOW_BIN; quiet, log in build/logs/show-build.log.
show_build_release() {
    mkdir -p build/logs
    { cmake --preset release && cmake --build --preset release -j "$(nproc)"; } \
        >build/logs/show-build.log 2>&1
}

# Version of an installed Debian package, or "-".
show_package() {
    dpkg-query -W -f '${Version}' "$1" 2>/dev/null || echo -
}

show_machine() {
    local dirty=
    git diff --quiet HEAD -- 2>/dev/null || dirty=" + local changes"
    echo "show:     $1"
    echo "machine:  $(nproc) cores, $(awk '/^model name/ {sub(/.*: /, ""); print; exit}' \
        /proc/cpuinfo), $(free -m | awk '/^Mem:/ {print $2 " MiB, " $7 " MiB available"}')"
    echo "load:     $(cut -d' ' -f1-3 /proc/loadavg) ($(uptime -p 2>/dev/null || echo up))"
    echo "disk:     $(stat -f -c %T "$SHOW_DIR"), $(df -h --output=avail "$SHOW_DIR" | tail -1 | tr -d ' ') free in ${SHOW_DIR%/*}"
    echo "commit:   $(git rev-parse --short HEAD 2>/dev/null || echo unknown)$dirty"
    echo "versions: kernel $(uname -r), gcc $(gcc -dumpfullversion), $("$SHOW_BIN" --version | head -1)"
    echo "          sqlite $(show_package libsqlite3-0), libuv $(show_package libuv1)," \
        "libmicrohttpd $(show_package libmicrohttpd12), jansson $(show_package libjansson4)," \
        "pcre2 $(show_package libpcre2-8-0)"
    echo "seed:     $SHOW_SEED"
    echo
}

# show_note NAME VALUE [REMARK]
show_note() {
    printf '%-44s %18s  %s\n' "$1" "$2" "${3:-}"
}

# show_check NAME VALUE OP WANT [REMARK]; OP is = != < <= > >=. Numbers are compared as numbers
# for the last four, texts otherwise. A failed check is remembered for show_end.
show_check() {
    local name=$1 value=$2 op=$3 want=$4 ok=no
    case $op in
    =) [ "$value" = "$want" ] && ok=yes ;;
    !=) [ "$value" != "$want" ] && ok=yes ;;
    *) awk -v a="$value" -v b="$want" -v op="$op" 'BEGIN {
        if (a !~ /^-?[0-9]/) exit 1
        a += 0; b += 0
        exit !(op == "<" ? a < b : op == "<=" ? a <= b : op == ">" ? a > b : a >= b) }' && ok=yes ;;
    esac
    [ "$ok" = yes ] || show_failures=$((show_failures + 1))
    printf '%-44s %18s  %-4s %s\n' "$name" "$value" "$([ $ok = yes ] && echo ok || echo FAIL)" \
        "($op $want)${5:+ $5}"
}

show_end() {
    [ "$show_failures" -eq 0 ] || echo "$show_failures checks failed"
    [ "$show_failures" -eq 0 ]
}

# Seconds since $1 (a value of `date +%s.%N`), with one decimal.
show_since() {
    awk -v b="$1" -v e="$(date +%s.%N)" 'BEGIN { printf "%.1f", e - b }'
}

# show_lines COUNT WIDTH FILE: COUNT lines of WIDTH bytes with their newline, each with its number,
# the rest from the seed: no two lines are the same, and order can be told.
show_lines() {
    python3 - "$1" "$2" "$3" "$SHOW_SEED" <<'PY'
import random, sys
count, width, path, seed = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
rng = random.Random(seed)
alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 ,.;:-_+"
pad = "".join(rng.choice(alphabet) for _ in range(width + 8192))
with open(path, "w", encoding="ascii", buffering=1 << 20) as out:
    for i in range(count):
        head = "%012d " % i
        at = (i * 2654435761 + seed) % 8192
        out.write(head + pad[at:at + width - len(head) - 1] + "\n")
PY
}
