#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# summary: the client's shows with ten million messages: order, and both ways with Java
#
# scripts/soak.sh client [messages]
set -uo pipefail
. scripts/show/lib.sh
count=${1:-10000000}
python3 scripts/show/client-order.py --count "$count" --java 500000
show_check "client-order" $? = 0 "$count messages"
python3 scripts/show/client-interop.py --count "$((count / 10))"
show_check "client-interop" $? = 0 "$((count / 10)) messages each way"
show_end
