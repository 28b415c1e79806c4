/* SPDX-License-Identifier: Apache-2.0 */
#include "host/java.h"

#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- java ----------------------------------------------------------------------------------- */

static const char *in_folder(const char *folder, size_t len, const char *name, int mode,
                             omc_arena *arena)
{
    const char *path = rc_arena_format(arena, "%.*s/%s", (int)len, folder, name);

    return len > 0 && access(path, mode) == 0 ? path : NULL;
}

static const char *in_path(const char *name, omc_arena *arena)
{
    const char *at = getenv("PATH"), *found = NULL;

    while (at && *at && !found) {
        size_t len = strcspn(at, ":");

        found = in_folder(at, len, name, X_OK, arena);
        at += len + (at[len] == ':');
    }
    return found;
}

int rc_java_find(const char *asked, omc_arena *arena, const char **ret, rc_error *err)
{
    static const char debian[] = "/usr/lib/jvm/default-java";
    const char *home = getenv("JAVA_HOME"), *found;

    if (asked && *asked) {
        if (strchr(asked, '/'))
            found = access(asked, X_OK) == 0 ? asked : NULL;
        else
            found = in_path(asked, arena);
        if (!found)
            return rc_fail(
                err, OMC_ENOTFOUND,
                "host.java is '%s', which cannot be run: name the java program of a JRE, "
                "version 8 or newer",
                asked);
        *ret = found;
        return 0;
    }
    found = home ? in_folder(home, strlen(home), "bin/java", X_OK, arena) : NULL;
    if (!found)
        found = in_path("java", arena);
    if (!found)
        found = in_folder(debian, strlen(debian), "bin/java", X_OK, arena);
    if (!found)
        return rc_fail(
            err, OMC_ENOTFOUND,
            "Java plugins need a JRE, version 8 or newer, and there is no java in PATH or "
            "JAVA_HOME: install one (Debian: apt install default-jre-headless) or set "
            "host.java");
    *ret = found;
    return 0;
}

/* ---- the host ------------------------------------------------------------------------------- */

/* Beside the program as installed (PREFIX/bin), and as built (build/<preset>). */
static const char *const below[] = {"../lib/rocketmq-connect/java/rc-host.jar",
                                    "../hosts/java/rc-host.jar"};

int rc_java_host_find(const char *asked, omc_arena *arena, const char **ret, rc_error *err)
{
    char self[PATH_MAX] = "";
    const char *dir, *found = NULL;

    if (asked && *asked) {
        if (access(asked, R_OK) < 0)
            return rc_fail(err, OMC_ENOTFOUND,
                           "host.java.jar is '%s', which cannot be read: name rc-host.jar", asked);
        *ret = asked;
        return 0;
    }
    if (readlink("/proc/self/exe", self, sizeof self - 1) < 0)
        return rc_fail(err, OMC_EIO, "cannot find this program's own folder");
    dir = dirname(self);
    for (size_t i = 0; i < RC_COUNT(below) && !found; i++)
        found = in_folder(dir, strlen(dir), below[i], R_OK, arena);
    if (!found)
        return rc_fail(
            err, OMC_ENOTFOUND,
            "Java plugins need the Java host, which is not beside this program: build it "
            "(scripts/build-java-host.sh), set host.java.jar to its rc-host.jar, or remove "
            "the file from pluginPaths");
    *ret = found;
    return 0;
}
