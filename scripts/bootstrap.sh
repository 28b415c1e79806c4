#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Installs by apt everything the core needs on a bare Debian 12. Safe to repeat; when all is there
# it only looks and takes no time.
#
#   scripts/bootstrap.sh             to build and to run all tests
#   scripts/bootstrap.sh --minimal   to build only
#   scripts/bootstrap.sh --check     installs nothing; says what is missing (exit status 1)
set -euo pipefail

build=(
    gcc libc6-dev make cmake ninja-build pkg-config ccache git ca-certificates
    libuv1-dev libssl-dev libmicrohttpd-dev libjansson-dev libyaml-dev libsqlite3-dev
    libpcre2-dev uthash-dev zlib1g-dev liblz4-dev libzstd-dev libxxhash-dev
)
tests=(
    g++ clang-14 clang-format-14 clang-tidy-14 libclang-rt-14-dev llvm-14
    libcmocka-dev python3 python3-pytest gdb procps patch strace util-linux curl
    openjdk-17-jdk-headless maven openssl postgresql-15 iproute2 faketime
)

say() { printf 'bootstrap: %s\n' "$*"; }
die() { printf 'bootstrap: %s\n' "$*" >&2; exit 1; }

wanted=("${build[@]}" "${tests[@]}")
check=no
for arg in "$@"; do
    case $arg in
        --minimal) wanted=("${build[@]}") ;;
        --check) check=yes ;;
        -h | --help) sed -n '3,9s/^# \{0,1\}//p' "$0"; exit 0 ;;
        *) die "unknown option '$arg'; see --help" ;;
    esac
done

installed() { [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

command -v dpkg-query >/dev/null || die "this is no Debian; needed are: ${wanted[*]} libcurl4-openssl-dev"

missing=()
for package in "${wanted[@]}"; do
    installed "$package" || missing+=("$package")
done
# Either flavour of libcurl will do, but they exclude each other.
if ! installed libcurl4-openssl-dev && ! installed libcurl4-gnutls-dev; then
    missing+=(libcurl4-openssl-dev)
fi

# Node from elsewhere will do too: for the tests of a host that is not ours.
if [[ " ${wanted[*]} " == *" libcmocka-dev "* ]] && ! command -v node >/dev/null; then
    missing+=(nodejs)
fi

if [ ${#missing[@]} -eq 0 ]; then
    say "all packages are there"
    exit 0
fi
say "missing: ${missing[*]}"
[ $check = no ] || exit 1

if [ "$(id -u)" -eq 0 ]; then
    as_root=(env)
elif command -v sudo >/dev/null; then
    as_root=(sudo env)
else
    die "run this as root, or install the packages above by: apt-get install ${missing[*]}"
fi

apt=("${as_root[@]}" DEBIAN_FRONTEND=noninteractive apt-get -q -y
     -o Dpkg::Use-Pty=0 -o Acquire::Retries=3)
install() { "${apt[@]}" install --no-install-recommends "${missing[@]}"; }
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# Package lists may be fresh already, and are old or absent on a new machine: try, then update.
if ! install >"$log" 2>&1; then
    say "updating the package lists"
    "${apt[@]}" update >"$log" 2>&1 || { tail -20 "$log" >&2; die "apt-get update failed"; }
    install >"$log" 2>&1 || { tail -20 "$log" >&2; die "apt-get install failed"; }
fi
say "installed ${#missing[@]} packages"
