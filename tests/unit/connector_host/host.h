/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The smallest host that can run a connector: options from text, contexts, a batch whose arena
 * takes every piece from malloc (so that ASan sees one byte too many), logs and counters that
 * are kept, and one committed source position.
 */
#ifndef TEST_HOST_H
#define TEST_HOST_H

#include <openmessaging/connect.h>

typedef struct test_batch {
    omc_batch pub; /* First. */
    omc_arena arena;
    void *blocks;
} test_batch;

test_batch *test_batch_new(size_t records_max, size_t bytes_max);
void test_batch_free(test_batch *batch);

#define TEST_COUNTERS 16

typedef struct test_host {
    const omc_plugin *plugin;
    char options[512] __attribute__((aligned(8)));
    char list_text[4096]; /* Of an option of type LIST; its items: */
    const char *list[256];
    char name[32];
    omc_host services;
    omc_config config;
    omc_keyvalue raw;
    omc_pair pairs[16];
    omc_source_context source;
    omc_sink_context sink;
    int wake[2];
    test_batch *scratch;
    void *task;
    omc_error err;
    /* What the task said: */
    char log[16384];
    struct {
        const char *name;
        int64_t value;
    } counters[TEST_COUNTERS];
    /* What read_offset answers. NULL = nothing for any partition. */
    const omc_map *(*committed)(void *arg, const omc_map *partition);
    void *committed_arg;
    /* Sink: what report does. */
    int report_result;
    int reported;
} test_host;

/** `config`: "key=value" strings, NULL at the end. The host is static in the test: big. */
void test_host_init(test_host *host, const omc_plugin *plugin, const char *const *config);
void test_host_release(test_host *host); /**< Also stops the task. */
/** New task, init and start. */
int test_host_start(test_host *host);
int test_host_task(test_host *host, int id, int count);
int64_t test_host_counter(const test_host *host, const char *name);

/** A fresh folder below $TMPDIR or /tmp; the same buffer each time. */
const char *test_folder(void);
void test_write(const char *path, const char *base, size_t len); /**< Replaces the content. */
void test_append(const char *path, const char *base, size_t len);
/** Content, NUL-terminated; malloc'd. */
char *test_read(const char *path, size_t *len);

#endif
