/* SPDX-License-Identifier: Apache-2.0 */
/**
 * RTLD_NOW, so that a missing symbol shows while the file is probed and not in the middle of a
 * task; RTLD_LOCAL, so that two plugins that bring the same library do not see each other's.
 */
#include "plugin/library.h"

#include "base/file.h"
#include "plugin/registry.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

static int explain_dlerror(const char *text, rc_error *err)
{
    const char *cure = "";

    if (!text)
        text = "unknown reason";
    if (strstr(text, "cannot open shared object file"))
        cure = ": install the package that has this library, or put it into the library path";
    else if (strstr(text, "undefined symbol"))
        cure = ": link the plugin against everything it uses (-Wl,-z,defs finds it at build time)";
    else if (strstr(text, "invalid ELF header") || strstr(text, "file too short"))
        cure = ": this is no shared library for this machine";
    return rc_fail(err, OMC_EINVAL, "cannot be loaded: %s%s", text, cure);
}

static int copy_bytes(int from, int to)
{
    char buf[64 << 10];
    ssize_t n;

    while ((n = read(from, buf, sizeof buf)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 || rc_write_all(to, buf, (size_t)n) < 0)
            return -1;
    }
    return 0;
}

/**
 * Opens a copy in memory. Its descriptor stays open on purpose: the loader knows libraries by
 * path, and /proc/self/fd/N must never name a second one.
 */
static void *open_copy(const char *path, rc_error *err)
{
    char link[64];
    int from = open(path, O_RDONLY | O_CLOEXEC);
    int to = memfd_create("rocketmq-connect-plugin", MFD_CLOEXEC);
    void *handle = NULL;

    if (from < 0 || to < 0 || copy_bytes(from, to) < 0) {
        (void)rc_fail_errno(err, errno, "copy for loading");
    } else {
        (void)snprintf(link, sizeof link, "/proc/self/fd/%d", to);
        handle = dlopen(link, RTLD_NOW | RTLD_LOCAL);
        if (!handle)
            (void)explain_dlerror(dlerror(), err);
    }
    if (from >= 0)
        (void)close(from);
    if (to >= 0 && !handle)
        (void)close(to);
    return handle;
}

static void *open_handle(const char *path, bool as_copy, rc_error *err)
{
    void *handle;

    if (as_copy)
        return open_copy(path, err);
    handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!handle)
        (void)explain_dlerror(dlerror(), err);
    return handle;
}

/** dlsym gives a data pointer; POSIX says it may be a function's. */
static omc_plugin_entry_fn *entry_of(void *handle)
{
    void *symbol = dlsym(handle, OMC_ENTRY_SYMBOL);
    omc_plugin_entry_fn *entry;

    memcpy(&entry, &symbol, sizeof entry);
    return entry;
}

static int call_entry(void *handle, const omc_plugin *const **ret, size_t *count, rc_error *err)
{
    omc_plugin_entry_fn *entry = entry_of(handle);

    if (!entry)
        return rc_fail(err, OMC_EABI,
                       "has no function " OMC_ENTRY_SYMBOL "(), so it is no connector plugin: "
                       "export it with OMC_EXPORT");
    *ret = entry(OMC_ABI_CURRENT, rc_plugin_host());
    if (!*ret)
        return rc_fail(err, OMC_EABI,
                       "its " OMC_ENTRY_SYMBOL "() refused ABI %u.%u, which this worker offers: "
                       "rebuild it with this worker's headers",
                       OMC_ABI_MAJOR, OMC_ABI_MINOR);
    for (*count = 0; (*ret)[*count]; ++*count)
        if (*count == RC_LIBRARY_PLUGINS_MAX)
            return rc_fail(err, OMC_EINVAL, "lists more than %d plugins: end the array with NULL",
                           RC_LIBRARY_PLUGINS_MAX);
    if (*count == 0)
        return rc_fail(err, OMC_EINVAL, "lists no plugin");
    return 0;
}

int rc_library_open(const char *path, bool as_copy, rc_library *ret, rc_error *err)
{
    RC_AUTO_FREE rc_checked_plugin *plugins = NULL;
    const omc_plugin *const *given = NULL;
    rc_error why = {.code = OMC_EINVAL};
    void *handle = open_handle(path, as_copy, &why);
    size_t count = 0;
    int r;

    if (!handle) {
        if (err)
            *err = why;
        return -why.code;
    }
    r = call_entry(handle, &given, &count, err);
    if (r < 0)
        return r;
    plugins = rc_calloc(count, sizeof *plugins);
    for (size_t i = 0; i < count; i++)
        if ((r = rc_plugin_check(given[i], &plugins[i], err)) < 0)
            return r;
    ret->plugins = RC_TAKE(plugins);
    ret->count = count;
    return 0;
}
