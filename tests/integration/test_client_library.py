# SPDX-License-Identifier: Apache-2.0
"""librmq as somebody else gets it: installed into an empty folder, nothing of the tree beside it."""
import os
import pathlib
import re
import shutil
import subprocess

import pytest

from conftest import BUILD, ROOT

HEADERS = sorted((ROOT / "include/rocketmq").glob("*.h"))
# Without debugging information; a client that embeds it pays for that in every container. Code that
# is not optimised is larger.
LIBRARY_BYTES_MAX = 400 * 1024
DEBUG_BYTES_MAX = 500 * 1024


def run(*command, **more):
    done = subprocess.run([str(c) for c in command], text=True, capture_output=True, check=False,
                          **more)
    assert done.returncode == 0, f"{' '.join(map(str, command))}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    folder = tmp_path_factory.mktemp("librmq") / "prefix"
    run("cmake", "--install", BUILD, "--component", "librmq", "--prefix", folder)
    return folder


@pytest.fixture(scope="module")
def library(prefix):
    found = list(prefix.rglob("librmq.so.1"))
    assert len(found) == 1, list(prefix.rglob("*"))
    return found[0]


def sanitized():
    return re.search(r"^RC_SANITIZE:STRING=.+", (BUILD / "CMakeCache.txt").read_text("utf-8"), re.M)


def environment(prefix, library):
    return {**os.environ, "PKG_CONFIG_PATH": str(library.parent / "pkgconfig"),
            "LD_LIBRARY_PATH": str(library.parent)}


def test_what_is_installed(prefix, library):
    files = {str(f.relative_to(prefix)) for f in prefix.rglob("*") if not f.is_dir()}
    lib = str(library.parent.relative_to(prefix))
    assert files == {f"{lib}/librmq.so", f"{lib}/librmq.so.1", f"{lib}/pkgconfig/rmq.pc",
                     *(f"include/rocketmq/{h.name}" for h in HEADERS)}


def test_it_exports_its_headers_and_nothing_else(library):
    declared = set()
    for header in HEADERS:
        text = re.sub(r"/\*.*?\*/", "", header.read_text("utf-8"), flags=re.S)
        declared |= set(re.findall(r"^(?!typedef)[a-z][\w \n*]*?\b(rmq_\w+)\(", text, re.M))
    assert "rmq_producer_send" in declared and "rmq_sent_fn" not in declared
    symbols = run("nm", "-D", "--defined-only", library).split("\n")
    exported = {line.split()[-1].split("@")[0] for line in symbols if line}
    exported.discard("LIBRMQ_1")  # the version itself
    assert exported == declared
    assert "librmq.so.1" in run("readelf", "-d", library)


def test_its_size(library, tmp_path):
    if sanitized():
        return  # its size there is that of the instrumentation
    stripped = tmp_path / "stripped"
    run("strip", "-o", stripped, library)
    debug = "CMAKE_BUILD_TYPE:STRING=Debug" in (BUILD / "CMakeCache.txt").read_text("utf-8")
    assert stripped.stat().st_size <= (DEBUG_BYTES_MAX if debug else LIBRARY_BYTES_MAX)


@pytest.mark.parametrize("header", HEADERS, ids=lambda h: h.name)
@pytest.mark.parametrize("compiler", [("gcc", "c", "c11"), ("g++", "c++", "c++17"),
                                      ("clang-14", "c", "c11"), ("clang++-14", "c++", "c++17")],
                         ids=lambda c: c[0])
def test_headers_compile_alone(prefix, header, compiler, tmp_path):
    name, language, standard = compiler
    source = tmp_path / "alone"
    source.write_text(f"#include <rocketmq/{header.name}>\n", "utf-8")
    run(name, "-x", language, f"-std={standard}", "-Wall", "-Wextra", "-pedantic", "-Werror",
        "-fsyntax-only", "-I", prefix / "include", source)


def test_headers_live_with_the_connector_abi(prefix, tmp_path):
    for first, second in (("rocketmq/rocketmq.h", "openmessaging/connect.h"),
                          ("openmessaging/connect.h", "rocketmq/rocketmq.h")):
        source = tmp_path / "both"
        source.write_text(f"#include <{first}>\n#include <{second}>\n", "utf-8")
        run("gcc", "-x", "c", "-std=c11", "-Wall", "-Wextra", "-pedantic", "-Werror",
            "-fsyntax-only", "-I", prefix / "include", "-I", ROOT / "include", source)


@pytest.mark.parametrize("tool", ["cmake", "make"])
def test_examples_build_in_an_empty_folder(prefix, library, tool, tmp_path):
    if sanitized():
        return  # programs that link a sanitized library need its run-time
    env = environment(prefix, library)
    folder = tmp_path / "examples"
    shutil.copytree(ROOT / "examples", folder, ignore=shutil.ignore_patterns("build"))
    if tool == "cmake":
        run("cmake", "-S", folder, "-B", folder / "build", "-DCMAKE_C_FLAGS=-Wall -Wextra -Werror",
            env=env)
        run("cmake", "--build", folder / "build", env=env)
        made = folder / "build"
    else:
        run("make", "-C", folder, "CFLAGS=-Wall -Wextra -Werror -std=c11", env=env)
        made = folder
    for name in ("producer", "consumer"):
        # No name server: an error that says so, and no crash.
        done = subprocess.run([str(made / name)], env=env, text=True, capture_output=True,
                              check=False, timeout=60)
        assert done.returncode == 1, done
        assert "name server" in done.stderr, done
