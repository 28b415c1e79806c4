/* SPDX-License-Identifier: Apache-2.0 */
/** The next version of good.so, to replace it while it is in use. */
#define VERSION "2.0.0"
#include "good.c"
