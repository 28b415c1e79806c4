/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The child's half of a probe. The library may print, crash, exit or hang; so its standard output
 * is turned away before it is loaded, no core is dumped, and the child dies with its parent.
 */
#include "base/file.h"
#include "plugin/library.h"
#include "plugin/registry.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

static json_t *describe_error(const rc_error *why)
{
    return json_pack("{s:{s:i,s:s}}", "error", "code", (int)why->code, "message", why->msg);
}

static json_t *describe_plugins(const rc_library *library)
{
    json_t *list = json_array();

    for (size_t i = 0; i < library->count; i++) {
        const omc_plugin *p = &library->plugins[i].plugin;

        (void)json_array_append_new(
            list, json_pack("{s:s,s:s,s:s?,s:s,s:s,s:o}", "kind", rc_plugin_kind_name(p->kind),
                            "name", p->name, "classes", p->classes, "version", p->version, "doc",
                            p->doc, "abi", json_sprintf("%u.%u", p->abi >> 16, p->abi & 0xffffu)));
    }
    return json_pack("{s:o}", "plugins", list);
}

static void isolate(void)
{
    const struct rlimit none = {0, 0};

    (void)setrlimit(RLIMIT_CORE, &none);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)dup2(2, 1);
}

int rc_plugin_probe_main(const char *file, int fd)
{
    rc_library library = {0};
    rc_error why = {0};
    /* A name without a slash would be looked for in the library path. */
    RC_AUTO_FREE char *path = realpath(file, NULL);
    int missing = path ? 0 : errno;
    int out = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    int r;
    json_t *answer;
    char *text;

    if (out < 0)
        return 1;
    isolate();
    r = path ? rc_library_open(path, false, &library, &why)
             : rc_fail_errno(&why, missing, "'%s' cannot be read", file);
    answer = r < 0 ? describe_error(&why) : describe_plugins(&library);
    /* Texts that are not UTF-8 cannot be packed; the file is refused for that. */
    text = answer ? json_dumps(answer, JSON_INDENT(2)) : NULL;
    if (!text) {
        r = -OMC_EINVAL;
        text = rc_strdup("{\"error\": {\"code\": 1, \"message\": \"its names and documentation "
                         "are not all UTF-8\"}}");
    }
    if (rc_write_all(out, text, strlen(text)) < 0 || rc_write_all(out, "\n", 1) < 0)
        r = -OMC_EIO;
    (void)close(out);
    json_decref(answer);
    free(text);
    free(library.plugins);
    return r < 0 ? 1 : 0;
}
