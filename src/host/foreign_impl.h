/* SPDX-License-Identifier: Apache-2.0 */
/* One place with foreign plugins; private to foreign.c and manifest.c. */
#ifndef RC_HOST_FOREIGN_IMPL_H
#define RC_HOST_FOREIGN_IMPL_H

#include "host/foreign.h"
#include "host/hosted.h"
#include "host/hosts_impl.h"

typedef struct rc_foreign_place {
    struct rc_foreign_place *next;
    rc_arena arena; /* everything below */
    rc_launcher launcher;
    const rc_launcher *scanner; /* who is asked; hosts->java is shared by many places */
    const omc_plugin **plugins; /* NULL-terminated */
    size_t count;
    rc_refused_fn *refused; /* of the load that is under way */
    void *refused_arg;
} rc_foreign_place;

/* The plugin that was told of; NULL for kinds that are not known. */
const omc_plugin *rc_foreign_plugin(rc_hosts *hosts, rc_foreign_place *place,
                                    const rc_host_plugin *told);
/* Asks the place's scanner what is in `path`. */
int rc_foreign_scan(rc_hosts *hosts, rc_foreign_place *place, const char *path, rc_error *err);
/* manifest.c: launcher and plugins of a connector.json */
int rc_foreign_manifest(rc_hosts *hosts, rc_foreign_place *place, const char *path, rc_error *err);

#endif
