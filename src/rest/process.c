/* SPDX-License-Identifier: Apache-2.0 */
/* Figures of this process. /proc may be hidden in a sandbox: then they are 0, not an error. */
#include "rest/process.h"

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

static int64_t entries(const char *dir)
{
    DIR *d = opendir(dir);
    int64_t n = 0;

    if (!d)
        return 0;
    for (struct dirent *e = readdir(d); e; e = readdir(d))
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static void read_memory(process_figures *ret)
{
    FILE *f = fopen("/proc/self/statm", "re");
    char line[128];
    char *at = line;

    if (!f)
        return;
    if (fgets(line, sizeof line, f)) { /* pages: size resident ... */
        ret->virtual_bytes = strtoll(at, &at, 10) * sysconf(_SC_PAGESIZE);
        ret->resident_bytes = strtoll(at, &at, 10) * sysconf(_SC_PAGESIZE);
    }
    fclose(f);
}

void process_read(process_figures *ret)
{
    struct rusage usage;
    struct rlimit limit;

    *ret = (process_figures){0};
    read_memory(ret);
    if (getrusage(RUSAGE_SELF, &usage) == 0)
        ret->cpu_us = (int64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
                      usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
    ret->open_fds = entries("/proc/self/fd");
    if (ret->open_fds > 0)
        ret->open_fds--; /* The one that looked. */
    ret->threads = entries("/proc/self/task");
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        ret->max_fds = (int64_t)RC_MIN(limit.rlim_cur, (rlim_t)INT64_MAX);
}
