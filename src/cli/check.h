/* SPDX-License-Identifier: Apache-2.0 */
/** The offline check of configurations, shared by `run` and `validate`. One thread. */
#ifndef RC_CLI_CHECK_H
#define RC_CLI_CHECK_H

#include "cli/pipeline.h"
#include "worker/connector_config.h"

/** Worker configuration of a pipeline: defaults of `run`, overridden by pipeline->worker. */
int rc_pipeline_worker_config(const rc_pipeline *pipeline, bool rest, omc_arena *arena,
                              rc_worker_config *ret, rc_problems *problems, rc_error *err);
/**
 * Checks both connectors of a pipeline as the worker will, plus each plugin's own validate.
 * Problems name the place in the file. @return 0 or -OMC_EINVAL, all problems in `err`.
 */
int rc_pipeline_check(const rc_pipeline *pipeline, rc_registry *registry,
                      const rc_worker_config *config, omc_arena *arena, rc_problems *problems,
                      rc_error *err);
/** Errors of `problems` on standard error, one a line, then warnings when `warnings`.
 *  @param file  Put in front of each; NULL when they say where they are. */
void rc_problems_print(const rc_problems *problems, const char *file, bool warnings);

#endif
