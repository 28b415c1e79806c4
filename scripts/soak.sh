#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The long ones: scripts/soak.sh NAME [argument...]. Form and environment are those of
# scripts/show.sh; a soak is scripts/soak/NAME.sh or .py.
cd "$(dirname "$0")/.." || exit 1
SHOW_FOLDER=scripts/soak exec scripts/show.sh "$@"
