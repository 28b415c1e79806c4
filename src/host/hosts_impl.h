/* SPDX-License-Identifier: Apache-2.0 */
/* The table of hosts, and of the plugins made for it; private to hosts.c and hosted.c. */
#ifndef RC_HOSTS_IMPL_H
#define RC_HOSTS_IMPL_H

#include "base/hash.h"
#include "host/hosts.h"

#include <pthread.h>

/* Key of the hosts that are asked what there is, and whether a configuration is good. */
#define RC_HOST_QUESTIONS "plugin checks"

struct rc_isolated;
struct rc_foreign_place;

struct rc_hosts {
    rc_hosts_config config;
    rc_launcher native;
    const char *native_argv[4];
    pthread_mutex_t mu;
    rc_host *hosts;                  /* [mu] */
    struct rc_isolated *isolated;    /* [mu] native plugins that run in hosts */
    struct rc_foreign_place *places; /* [mu] */
    rc_arena memory;                 /* of settings */
    rc_launcher java;                /* by one scan at a time; without argv until one wanted it */
};

/** Fills in `java`; `java <options> -jar <host>`. @return 0, or what is missing and how to get it.
 */
int rc_hosts_java(rc_hosts *hosts, rc_error *err);
void rc_isolated_free(struct rc_isolated *list);
void rc_foreign_free(struct rc_foreign_place *list);

#endif
