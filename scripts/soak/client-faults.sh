#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# summary: ten million messages through every fault of the client's show, compared with the brokers
#
# scripts/soak.sh client-faults [messages]: shared by the eleven cases with real brokers
set -uo pipefail
. scripts/show/lib.sh
count=${1:-10000000}
python3 scripts/show/client-faults.py --count "$(((count + 10) / 11))" --away 30
show_check "client-faults" $? = 0 "$count messages at least"
show_end
