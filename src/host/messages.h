/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The payloads of control frames as structs, for both ends of the host protocol. Reading puts
 * everything into the cursor's arena; texts are NUL-terminated and bounded.
 */
#ifndef RC_HOST_MESSAGES_H
#define RC_HOST_MESSAGES_H

#include "host/wire.h"

#include <openmessaging/connect/plugin.h>

/** Capabilities of a host. */
enum rc_host_caps {
    RC_HOST_SOURCES = 0x01,
    RC_HOST_SINKS = 0x02,
    RC_HOST_TRANSFORMS = 0x04,
    RC_HOST_PREDICATES = 0x08,
    RC_HOST_CONVERTERS = 0x10,
    RC_HOST_MANY = 0x20,
    RC_HOST_SCAN = 0x40
};

typedef struct rc_hello {
    uint32_t magic, pid, max_frame;
    uint16_t version_min, version_max;
    uint64_t capabilities;
    const char *name, *version, *language;
    const omc_keyvalue *more;
} rc_hello;
void rc_out_hello(rc_buf *out, const rc_hello *hello);
void rc_in_hello(rc_wire_in *in, rc_hello *ret);

typedef struct rc_welcome {
    uint16_t version;
    uint64_t capabilities;
    uint32_t max_frame, heartbeat_ms;
    uint8_t log_level;
    const char *session, *worker_id, *worker_version;
    const omc_keyvalue *settings;
} rc_welcome;
void rc_out_welcome(rc_buf *out, const rc_welcome *welcome);
void rc_in_welcome(rc_wire_in *in, rc_welcome *ret);

/** CONNECTOR_START, TASK_START, COMPONENT_START. */
typedef struct rc_start {
    uint8_t kind; /**< omc_plugin_kind */
    const char *class_name, *location, *connector, *task;
    const omc_keyvalue *config;
    uint16_t connector_instance;
    uint32_t task_id, task_count;
    bool is_key;
    uint32_t records_max, bytes_max, put_window;
} rc_start;
void rc_out_start(rc_buf *out, const rc_start *start);
void rc_in_start(rc_wire_in *in, rc_start *ret);

#define RC_WIRE_QUEUES_MAX 65536
void rc_out_queue(rc_buf *out, const omc_queue *queue);
void rc_out_queues(rc_buf *out, const omc_queue *queues, size_t count);
void rc_out_queue_offsets(rc_buf *out, const omc_queue_offset *offsets, size_t count);
size_t rc_in_queues(rc_wire_in *in, const omc_queue **ret);
size_t rc_in_queue_offsets(rc_wire_in *in, omc_queue_offset **ret);

/** One run of an ACK for each stretch of equal results with offsets that follow each other. */
void rc_out_results(rc_buf *out, const omc_send_result *results, size_t count);
/** All results of an ACK, one per record; the first seq was read before. */
size_t rc_in_results(rc_wire_in *in, omc_send_result **ret);

/** A problem of a configuration. */
void rc_out_problem(rc_buf *out, bool warning, const char *key, const char *value,
                    const char *text);

/** A plugin of a SCAN reply, or of a manifest. */
typedef struct rc_host_plugin {
    uint8_t kind;
    uint32_t flags;
    const char *class_name, *location, *version, *doc;
    const omc_option *options; /**< NULL when it describes none. */
    size_t option_count;
} rc_host_plugin;
/** Flag of a plugin in the protocol; 1 and 4 are OMC_SOURCE_REPLAYS and OMC_SOURCE_EXACTLY_ONCE. */
#define RC_HOST_PLUGIN_ANY_KEY 8u
void rc_out_plugin(rc_buf *out, const rc_host_plugin *plugin);
void rc_in_plugin(rc_wire_in *in, rc_host_plugin *ret);

#endif
