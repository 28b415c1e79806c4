/* SPDX-License-Identifier: Apache-2.0 */
/* Finds and loads rc_http.so. */
#include "http/http.h"

#include "base/buf.h"

#include <dlfcn.h>
#include <libgen.h>
#include <limits.h>
#include <unistd.h>

static int open_library(const char *dir, const char *below, void **ret, rc_buf *why)
{
    RC_AUTO_FREE char *path = rc_format("%s/%src_http.so", dir, below);

    if (access(path, R_OK) < 0) {
        rc_buf_printf(why, "%s'%s' is not there", why->len ? "; " : "", path);
        return -OMC_ENOTFOUND;
    }
    *ret = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (*ret)
        return 0;
    rc_buf_printf(why, "%s%s", why->len ? "; " : "", dlerror());
    return -OMC_EABI;
}

int rc_http_load(const rc_http **ret, omc_error *err)
{
    static const char *const below[] = {"", "../lib/rocketmq-connect/"};
    char self[PATH_MAX] = "";
    rc_buf why = RC_BUF(800);
    rc_http_entry_fn *entry;
    const rc_http *http = NULL;
    void *library = NULL;

    if (readlink("/proc/self/exe", self, sizeof self - 1) < 0)
        return rc_fail(err, OMC_EIO, "cannot find this program's own folder");
    for (size_t i = 0; i < RC_COUNT(below) && !library; i++)
        (void)open_library(i ? self : dirname(self), below[i], &library, &why);
    if (!library) {
        (void)rc_fail(err, OMC_ENOTFOUND,
                      "calls to workers need rc_http.so and libcurl (Debian: libcurl4): %s",
                      why.data);
        rc_buf_release(&why);
        return -OMC_ENOTFOUND;
    }
    rc_buf_release(&why);
    *(void **)&entry = dlsym(library, RC_HTTP_ENTRY);
    if (entry)
        http = entry();
    if (!http || http->version != RC_HTTP_VERSION)
        return rc_fail(err, OMC_EABI,
                       "rc_http.so does not belong to this program; install both anew");
    *ret = http;
    return 0;
}
