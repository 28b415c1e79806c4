#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# summary: ten million lines exactly once, and ten million messages from region A to region B
#
# scripts/soak.sh worker [messages]
set -uo pipefail
. scripts/show/lib.sh
count=${1:-10000000}
python3 scripts/show/exactly-once.py --lines "$count" --kills 50 --broker-kills 12
show_check "exactly-once" $? = 0 "$count lines"
python3 scripts/show/exactly-once.py --strict --lines "$((count / 4))" --kills 30 --broker-kills 6 --freezes 4
show_check "exactly-once --strict" $? = 0 "$((count / 4)) lines"
python3 scripts/show/replicate-first.py --count "$count" --kills 30 --rounds 1
show_check "replicate-first" $? = 0 "$count messages"
show_end
