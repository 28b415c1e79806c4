/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Loading one `.so`: dlopen, its entry, and the check of every plugin in it. Used in the probing
 * child and, once that went well, in the worker. What is loaded stays for the life of the process.
 */
#ifndef RC_PLUGIN_LIBRARY_H
#define RC_PLUGIN_LIBRARY_H

#include "plugin/check.h"

/** Most plugins one file may hold. */
#define RC_LIBRARY_PLUGINS_MAX 256

typedef struct rc_library {
    rc_checked_plugin *plugins; /**< free() it, once no plugin is used any more. */
    size_t count;
} rc_library;

/**
 * Loads `path` and checks all its plugins; one bad plugin refuses the file.
 *
 * @param as_copy  Load a private copy of the file. The dynamic loader gives the old library back
 *                 for a path or inode it has seen, so this is how a changed file is loaded. The
 *                 copy has no folder: an $ORIGIN in its run path does not work.
 * @return 0, or an error without the path in it (the caller knows it).
 */
int rc_library_open(const char *path, bool as_copy, rc_library *ret, rc_error *err);

#endif
