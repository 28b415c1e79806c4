# SPDX-License-Identifier: Apache-2.0
# A package, so that conftest.py here and the one above keep apart: modules of the folder above say
# "from conftest import".
