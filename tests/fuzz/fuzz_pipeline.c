/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a pipeline file: YAML to two configurations, or an error that names the place. */
#include "cli/pipeline.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const sets[] = {"source.a=b", "log.keep=0", NULL};
    rc_pipeline pipeline;
    rc_problems problems;
    rc_yaml *root = NULL;
    rc_error err = {0};
    rc_arena arena;

    rc_arena_init(&arena, 64 << 10);
    rc_problems_init(&problems, &arena.pub);
    if (rc_yaml_parse("fuzz.yaml", omc_slice_of((const char *)data, size), &arena.pub, &root,
                      &err) == 0) {
        int r = rc_pipeline_build("fuzz.yaml", root, size & 1 ? sets : NULL, &arena.pub, &pipeline,
                                  &problems, &err);

        RC_ASSERT((r == 0) == (problems.errors == 0));
        RC_ASSERT(r == 0 || *err.msg);
    }
    rc_arena_release(&arena);
    return 0;
}
