#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Counts the lines of a copy by the number each begins with. Usage: check_lines.py COUNT FILE

Shares nothing with the program under test. Prints "lost L twice T foreign F disorder D": numbers
below COUNT that are missing, lines beyond the first with a number, lines without a number below
COUNT, and lines that come after one with a larger number. Exit status 0 when all are 0.
"""
import sys

count, path = int(sys.argv[1]), sys.argv[2]
seen = bytearray(count)
twice = foreign = disorder = 0
last = -1
with open(path, "rb", buffering=1 << 20) as lines:
    for line in lines:
        head = line[:12]
        if not head.isdigit() or line[12:13] != b" " or not line.endswith(b"\n"):
            foreign += 1
            continue
        number = int(head)
        if number >= count:
            foreign += 1
            continue
        if seen[number]:
            twice += 1
        seen[number] = 1
        if number < last:
            disorder += 1
        last = number
lost = seen.count(0)
print(f"lost {lost} twice {twice} foreign {foreign} disorder {disorder}")
sys.exit(1 if lost or twice or foreign or disorder else 0)
