/* SPDX-License-Identifier: Apache-2.0 */
/** Each rule off, alone: some run must fail, or the checks see nothing. */
#ifndef SIM_MUTANTS_H
#define SIM_MUTANTS_H

#include "rules.h"

/**
 * Looks in the mixes of each rule (of `only`, unless that is NULL) for the first run that fails
 * without it, through `count` seeds from `first` on; with all rules on the same run must pass.
 * Prints a table.
 * @return 0 = all were caught, 1.
 */
int mutants_run(const struct mutant *only, uint64_t first, uint64_t count, int jobs);

#endif
