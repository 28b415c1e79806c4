#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The arrows between rooms point down only, and banned calls stay out.

CMake shows each room only the headers it may use; this says the same in words, checks CMake's
lists against the table, and covers what CMake cannot: connectors and public headers.
Usage: test_rooms.py [repository]
"""
import os
import re
import sys
import unittest

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))

# room: rooms it may include. Order: from the ground up; a room may use earlier ones only.
ROOMS = {
    "base": "",
    "net": "base",
    "rocketmq": "net base",
    "config": "base",
    "record": "config base",
    "log": "record config base rocketmq net",
    "store": "record config base rocketmq net",
    "plugin": "record config base",
    "host": "plugin record config net base",
    "worker": "log store plugin host record config base",
    "cluster": "config base",
    "rest": "cluster worker log store plugin record config net base",
    "cli": "rest cluster worker log store plugin host record config net base",
}
# The broker client is free of connect; only base shares the ABI's error and data types.
CLIENT_MAY_NOT = "openmessaging/connect"

# call: what to use instead
BANNED = {
    "strcpy": "rc_buf or snprintf", "strcat": "rc_buf", "sprintf": "snprintf", "gets": "fgets",
    "atoi": "rc_parse_int64", "strtok": "strcspn and slices", "rand": "getrandom",
    "alloca": "an arena", "usleep": "rc_clock.wait", "sleep": "rc_clock.wait",
}
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.M)
CALL = re.compile(r"(?<![\w.>])(" + "|".join(BANNED) + r")\s*\(")
NOISE = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def code_only(text):
    """The text without comments and literals; lines keep their numbers."""
    return NOISE.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)


def includes(text):
    """(line, quote, path) of each #include that is not in a comment."""
    kept = re.sub(r"/\*.*?\*/", lambda m: re.sub(r"[^\n]", " ", m.group()), text, flags=re.S)
    return [(kept.count("\n", 0, m.start()) + 1, m.group(1), m.group(2))
            for m in INCLUDE.finditer(kept)]


def room_faults(room, text):
    """What is wrong with the includes of a file of `room` (None = main.c, which sees all)."""
    faults = []
    for line, _, path in includes(text):
        target = path.split("/")[0]
        if "/" not in path:
            continue
        if target in ROOMS and room is not None and target not in [room] + ROOMS[room].split():
            faults.append((line, f"room '{room}' may not include '{path}'"))
        if room == "rocketmq" and path.startswith(CLIENT_MAY_NOT):
            faults.append((line, f"the client knows nothing of connect, but includes '{path}'"))
    return faults


def connector_faults(text, siblings, client=False):
    """Connectors see the public connect headers, their own, the system's, and the library they are
    made for: `client` = RocketMQ's."""
    faults = []
    for line, quote, path in includes(text):
        if client and quote == "<" and path.startswith("rocketmq/"):
            continue
        if path.split("/")[0] in ROOMS or path.startswith("rocketmq/"):
            faults.append((line, f"a connector may not include '{path}'"))
        elif quote == '"' and path not in siblings:
            faults.append((line, f"'{path}' is not a header of this connector"))
    return faults


def public_faults(text):
    """Public headers include only each other and the C library."""
    return [(line, f"a public header may not include '{path}'")
            for line, quote, path in includes(text)
            if quote == '"' or ("/" in path and not path.startswith(("openmessaging/", "rocketmq/",
                                                                     "sys/")))]


def banned_faults(text):
    code = code_only(text)
    return [(code.count("\n", 0, m.start()) + 1,
             f"{m.group(1)}() is banned; use {BANNED[m.group(1)]}") for m in CALL.finditer(code)]


def sources(*parts):
    for folder, dirs, files in os.walk(os.path.join(ROOT, *parts)):
        dirs[:] = [d for d in dirs if d not in ("build", "__pycache__")]
        for name in sorted(files):
            if name.endswith((".c", ".h")):
                yield os.path.join(folder, name)


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


class Rooms(unittest.TestCase):
    def report(self, faults):
        lines = [f"{os.path.relpath(path, ROOT)}:{line}: {what}"
                 for path, found in faults for line, what in found]
        if lines:
            self.fail("\n" + "\n".join(lines))

    def test_table_points_down(self):
        below = []
        for room, uses in ROOMS.items():
            for used in uses.split():
                self.assertIn(used, below, f"{room} -> {used} points up")
            below.append(room)

    def test_rooms_include_only_what_is_below(self):
        faults = []
        for path in sources("src"):
            parts = os.path.relpath(path, os.path.join(ROOT, "src")).split(os.sep)
            room = parts[0] if len(parts) > 1 else None
            if room is not None:
                self.assertIn(room, ROOMS, f"src/{room} is not in the table of test_rooms.py")
            faults.append((path, room_faults(room, read(path))))
        self.assertTrue(faults, "no sources found")
        self.report(faults)

    def test_connectors_see_the_abi_only(self):
        faults = []
        for path in sources("connectors"):
            folder = os.path.dirname(path)
            faults.append((path, connector_faults(
                read(path), os.listdir(folder), os.path.basename(folder) == "replicator")))
        self.report(faults)

    def test_public_headers_stand_alone(self):
        self.report([(path, public_faults(read(path))) for path in sources("include")])

    def test_no_banned_calls(self):
        self.report([(path, banned_faults(read(path)))
                     for part in ("src", "connectors") for path in sources(part)])

    def test_cmake_says_the_same(self):
        for room, uses in ROOMS.items():
            path = os.path.join(ROOT, "src", room, "CMakeLists.txt")
            if not os.path.exists(path):
                continue
            found = re.search(r"rc_room\(\s*(\w+)(?:\s+USES((?:\s+\w+)*?))?\s+SOURCES", read(path))
            self.assertIsNotNone(found, f"{path}: no rc_room(<room> USES ... SOURCES ...)")
            self.assertEqual(found.group(1), room, path)
            more = set((found.group(2) or "").split()) - set(uses.split())
            self.assertFalse(more, f"{path}: USES {more}, which the table does not allow")


class TheChecksThemselves(unittest.TestCase):
    """A check that cannot fail is none."""

    def test_faults_are_seen(self):
        self.assertTrue(room_faults("base", '#include "config/options.h"\n'))
        self.assertTrue(room_faults("record", ' # include <worker/worker.h>\n'))
        self.assertTrue(room_faults("rocketmq", '#include "record/json.h"\n'))
        self.assertTrue(room_faults("rocketmq", "#include <openmessaging/connect/data.h>\n"))
        self.assertFalse(room_faults("record", '#include "base/buf.h"\n#include <sys/stat.h>\n'))
        self.assertFalse(room_faults("base", '/* #include "cli/cli.h" */\n'))
        self.assertFalse(room_faults(None, '#include "cli/cli.h"\n'))
        self.assertTrue(connector_faults('#include "base/buf.h"\n', ["own.h"]))
        self.assertTrue(connector_faults('#include "other.h"\n', ["own.h"]))
        self.assertFalse(connector_faults(
            '#include "own.h"\n#include <openmessaging/connect.h>\n', ["own.h"]))
        self.assertTrue(public_faults('#include "base/buf.h"\n'))
        self.assertTrue(public_faults("#include <jansson/x.h>\n"))
        self.assertFalse(public_faults("#include <openmessaging/connect/data.h>\n"))

    def test_calls_are_seen(self):
        self.assertEqual(banned_faults("int x;\nstrcpy(a, b);\n")[0][0], 2)
        self.assertTrue(banned_faults("r = atoi (s);"))
        self.assertFalse(banned_faults('/* strcpy(a) */ puts("sleep(1)"); // rand()\n'))
        self.assertFalse(banned_faults("strtok_r(a, b, c); vsnprintf(x); clock->sleep(1);"))
        self.assertFalse(banned_faults("char q = '\"'; my_rand(); snprintf(a);"))


if __name__ == "__main__":
    if len(sys.argv) > 1 and not sys.argv[1].startswith("-"):
        ROOT = os.path.abspath(sys.argv.pop(1))
    unittest.main()
