/* SPDX-License-Identifier: Apache-2.0 */
/** The least program that can probe: what `rocketmq-connect plugin probe FILE` does. */
#include "plugin/registry.h"

/* A crash must look like one in every build; the run-times look these up by name. */
__attribute__((visibility("default"))) const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "handle_segv=0";
}

__attribute__((visibility("default"))) const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
    return "handle_segv=0";
}

int main(int argc, char **argv)
{
    if (argc != 4 || strcmp(argv[1], "plugin") != 0 || strcmp(argv[2], "probe") != 0)
        return 2;
    return rc_plugin_probe_main(argv[3], 1);
}
