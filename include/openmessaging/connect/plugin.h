/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The connector ABI: what a plugin offers (sources, sinks, transforms, predicates, converters)
 * and what its host gives it.
 *
 * A `.so` exports one symbol, omc_plugin_entry(), and links against nothing of the host: all
 * services arrive as function pointers. The same source can be linked into the host.
 *
 * Versions: every struct of functions begins with its size. A host loads a plugin whose ABI
 * major equals its own and whose minor is not newer, and reads only the members the plugin's
 * `size` covers; members a plugin does not have are NULL. All members are optional unless marked
 * required. A plugin that uses a member of a context newer than ABI 1.0 checks the context's
 * size first.
 *
 * Threads: validate, connector_start, task_configs and connector_stop run on a small pool under a
 * deadline; those of one connector one at a time, except validate, which has no state and may run
 * beside them. connector_stop follows each connector_start, also one that failed. *All* calls of
 * one task run on the thread of that task and may block; only wake() comes from another thread.
 * stop() never runs beside another call.
 *
 * Errors: a negative code and a filled omc_error. OMC_ERR_RETRIABLE asks the host to call again
 * later (for put: with the same batch). Anything else fails the task, which is then restarted with
 * back-off, unless OMC_ERR_FATAL says that this cannot help.
 */
#ifndef OMC_PLUGIN_H
#define OMC_PLUGIN_H

#include <openmessaging/connect/data.h>
#include <openmessaging/connect/error.h>
#include <openmessaging/connect/options.h>

#ifdef __cplusplus
extern "C" {
#endif

#define OMC_ABI_MAJOR 1u
#define OMC_ABI_MINOR 0u
#define OMC_ABI_CURRENT ((OMC_ABI_MAJOR << 16) | OMC_ABI_MINOR)

/** Returned by poll: a bounded source has no more records, now or ever. */
#define OMC_FINISHED (-4096)
/** Returned by a transform: drop this record. By a predicate: 1 = matches. */
#define OMC_DROP 1

typedef enum omc_plugin_kind {
    OMC_SOURCE = 1,
    OMC_SINK = 2,
    OMC_TRANSFORM = 3,
    OMC_PREDICATE = 4,
    OMC_CONVERTER = 5
} omc_plugin_kind;

typedef enum omc_log_level {
    OMC_DEBUG = 0,
    OMC_INFO = 1,
    OMC_WARN = 2,
    OMC_ERROR = 3
} omc_log_level;

/* ---- configuration --------------------------------------------------------------------------- */

struct omc_plugin;

/**
 * A checked configuration. `raw` holds every key as the user wrote it; `options` points to the
 * struct the table described (NULL when the plugin has no table). Valid until stop() returns.
 */
typedef struct omc_config {
    uint32_t size;
    const omc_keyvalue *raw;
    const void *options;
    /** The plugin it is for, with its `data`: one set of functions may serve many plugins. */
    const struct omc_plugin *plugin;
    /** For validate(): the name of the connector; NULL elsewhere, where the context has it. */
    const char *connector;
} omc_config;

/* ---- host services --------------------------------------------------------------------------- */

/** Given to omc_plugin_entry(); lives as long as the process. Any thread. */
typedef struct omc_host {
    uint32_t size;
    uint32_t abi;        /**< The host's OMC_ABI_CURRENT. */
    const char *name;    /**< "rocketmq-connect" */
    const char *version; /**< e.g. "0.1.0" */
    /** One log line; `component` names the speaker. Lines of a flood are counted, not printed. */
    void (*log)(omc_log_level level, const char *component, const char *fmt, ...) OMC_PRINTF(3, 4);
} omc_host;

/** What every task context offers. `host` is the host's own. */
#define OMC_TASK_CONTEXT                                                                        \
    uint32_t size;                                                                              \
    const char *connector; /**< Connector name. */                                              \
    const char *task;      /**< Task name, "<connector>-<id>". */                               \
    int32_t task_id;                                                                            \
    int32_t task_count;                                                                         \
    const omc_config *config;                                                                   \
    const omc_host *services;                                                                   \
    /** Readable (poll(2), POLLIN) as long as the task should return to the host at once: stop, \
        pause, or records that became durable. A blocking call of the task waits on it beside   \
        its own descriptors; a source that polls at intervals keeps its own time. */            \
    int wake_fd;                                                                                \
    void *host;                                                                                 \
    /** Adds `delta` to a counter of this plugin, shown as                                      \
        rocketmq_connect_plugin_<name>_total{connector,task}. `name`: [a-z0-9_], 48 bytes, at   \
        most 16 names per task; more are dropped with one log line. */                          \
    void (*count)(void *host, const char *name, int64_t delta);                                 \
    /** One log line of this task. */                                                           \
    void (*log)(void *host, omc_log_level level, const char *fmt, ...) OMC_PRINTF(3, 4)

/** What a connector (not a task) may ask of its host. Any thread, until connector_stop returns. */
typedef struct omc_connector_context {
    uint32_t size;
    const char *connector;
    const omc_config *config;
    const omc_host *services;
    void *host;
    /** Asks for task_configs() again, e.g. because a new table appeared. Returns at once. */
    void (*request_task_reconfiguration)(void *host);
    /** Fails the connector and shows `err` in its status. `err` is copied. */
    void (*raise_error)(void *host, const omc_error *err);
} omc_connector_context;

typedef struct omc_source_context {
    OMC_TASK_CONTEXT;
    /**
     * Reads the committed offset of a source partition.
     * @param arena     Holds the result; NULL = the task's own, valid until after stop().
     * @param[out] ret  Set on success; NULL when nothing was committed.
     */
    int (*read_offset)(void *host, const omc_map *partition, omc_arena *arena, const omc_map **ret,
                       omc_error *err);
} omc_source_context;

/** A queue of a topic, as a sink sees it (Java: RecordPartition). */
typedef struct omc_queue {
    const char *topic;
    const char *broker; /**< "" on the embedded log. */
    int32_t id;
} omc_queue;

/** A queue and the offset of the next record wanted from it (Java: RecordOffset). */
typedef struct omc_queue_offset {
    omc_queue queue;
    int64_t offset; /**< Next record; -1 = nothing known. */
    /** What the sink itself wants to keep with the offset, in the same atomic write, and gets
        back in open(), e.g. the length of its file. NULL = nothing. At most 4 KiB as JSON. */
    const omc_map *state;
} omc_queue_offset;

typedef struct omc_sink_context {
    OMC_TASK_CONTEXT;
    /** Stops fetching from / fetches again from these queues. Unknown ones are an error. */
    int (*pause)(void *host, const omc_queue *queues, size_t count, omc_error *err);
    int (*resume)(void *host, const omc_queue *queues, size_t count, omc_error *err);
    /** The next put continues at these offsets; takes effect after the running call returned. */
    int (*reset_offset)(void *host, const omc_queue_offset *offsets, size_t count, omc_error *err);
    /** The queues of this task; the array is valid until the running call returns. */
    size_t (*assignment)(void *host, const omc_queue **ret);
    /**
     * Reports one record the target refused; the put itself goes on and succeeds. The record is
     * handled as `errors.*` says (skipped and counted, dead-letter topic); with
     * errors.tolerance=none the call fails and the task must return that error.
     */
    int (*report)(void *host, const omc_record *record, const omc_error *why, omc_error *err);
    /** Asks for a pre_commit soon, before the commit interval is over, also when nothing was put
        since the last one. @thread any, from init() until stop() returns. */
    void (*request_commit)(void *host);
    /** When the running call fails with OMC_ERR_RETRIABLE: try it again after `ms`, instead of the
        host's own back-off. At most an hour. */
    void (*retry_after)(void *host, int64_t ms);
} omc_sink_context;

/* ---- connectors ------------------------------------------------------------------------------ */

/** Collects the configurations of tasks in task_configs(). */
typedef struct omc_task_configs {
    uint32_t size;
    omc_arena *arena;
    void *host;
    /** Adds one task; its pairs override the connector's. Copied. Fails beyond max_tasks. */
    int (*add)(struct omc_task_configs *configs, const omc_keyvalue *overrides, omc_error *err);
} omc_task_configs;

/** The connector half, shared by sources and sinks. Without task_configs there is one task. */
#define OMC_CONNECTOR_OPS                                                                       \
    uint32_t size;                                                                              \
    uint32_t flags;              /**< OMC_SOURCE_*, OMC_SINK_* */                               \
    size_t connector_state_size; /**< Zeroed by the host; 0 = no connector half. */             \
    size_t task_state_size;      /**< Zeroed by the host. */                                    \
    /** Checks what the option table cannot (combinations, reachability is not its job). */     \
    int (*validate)(const omc_config *config, omc_error *err);                                  \
    int (*connector_start)(void *connector, const omc_connector_context *ctx, omc_error *err);  \
    int (*task_configs)(void *connector, int max_tasks, omc_task_configs *out, omc_error *err); \
    void (*connector_stop)(void *connector)

/** flags: poll continues exactly after any committed position (files, logs, sequences). */
#define OMC_SOURCE_REPLAYS 1u
/** flags: exactly once is what users expect of it: on unless `exactly.once.support=off`, also where
 *  it costs something. Only together with OMC_SOURCE_REPLAYS. */
#define OMC_SOURCE_EXACTLY_ONCE 4u
/** flags: put keeps batches with ref(); the host then gives each batch bytes of its own. */
#define OMC_SINK_KEEPS 2u

/** What became of one record of a batch. */
typedef struct omc_send_result {
    uint8_t status; /**< 0 = stored, 1 = dropped by a transform, 2 = skipped after an error. */
    uint8_t reserved[3];
    int32_t queue; /**< Stored: where. */
    int64_t offset;
    const char *topic;
    const char *broker;
    const char *message_id; /**< "" when the log has none. */
} omc_send_result;

/** A source task. `task` is its zeroed state of task_state_size bytes. */
typedef struct omc_source_ops {
    OMC_CONNECTOR_OPS;
    int (*init)(void *task, const omc_source_context *ctx, omc_error *err);
    /** Opens what poll needs. */
    int (*start)(void *task, omc_error *err);
    /**
     * Adds records to `out`. Required.
     *
     * With nothing to give it waits, at most `timeout_ms` (-1 = for ever), for its own
     * descriptors or ctx->wake_fd, and returns 0. The order of records is the order in the topic.
     * @return the number of records added, 0 = idle, OMC_FINISHED, or an error. Records added
     *         before an error are dropped and come again from the position.
     */
    int (*poll)(void *task, omc_batch *out, int64_t timeout_ms, omc_error *err);
    /**
     * The batch is stored as far as `results` (one per record) says, and its positions are
     * durable. Called in the order of polls. When absent, batches are freed earlier.
     */
    int (*commit)(void *task, const omc_batch *batch, const omc_send_result *results,
                  omc_error *err);
    /** @thread any. The host wants the task back; wake_fd is readable already. */
    void (*wake)(void *task);
    /** Ends the task; also called when init or start failed. */
    void (*stop)(void *task);
} omc_source_ops;

/** A sink task. */
typedef struct omc_sink_ops {
    OMC_CONNECTOR_OPS;
    int (*init)(void *task, const omc_sink_context *ctx, omc_error *err);
    int (*start)(void *task, omc_error *err);
    /** Queues were given to the task, with their committed offsets and states. Before any put. */
    int (*open)(void *task, const omc_queue_offset *queues, size_t count, omc_error *err);
    /** Queues are taken away; a pre_commit for them came before. */
    int (*close)(void *task, const omc_queue *queues, size_t count, omc_error *err);
    /** Writes a batch (records of one or more queues, in order per queue). Required. */
    int (*put)(void *task, const omc_batch *batch, omc_error *err);
    /** Makes everything put so far durable in the target. */
    int (*flush)(void *task, omc_error *err);
    /**
     * Says how far the host may commit. `offsets` holds, per queue, the offset after the last
     * record put; the task may lower `offset` (-1 = do not commit this queue) and may set
     * `state` (from `arena`). When absent: flush, then all of it. The commit itself may still
     * fail; only the first one of a task is certainly durable before its first put.
     */
    int (*pre_commit)(void *task, omc_queue_offset *offsets, size_t count, omc_arena *arena,
                      omc_error *err);
    void (*wake)(void *task); /**< @thread any. */
    void (*stop)(void *task);
} omc_sink_ops;

/* ---- transforms, predicates, converters ------------------------------------------------------ */

typedef struct omc_transform_ops {
    uint32_t size;
    uint32_t flags;
    size_t state_size;
    int (*start)(void *state, const omc_config *config, omc_error *err);
    /** Changes `record` in place; new memory from `arena`. @return 0, OMC_DROP or an error. */
    int (*apply)(void *state, omc_record *record, omc_arena *arena, omc_error *err);
    void (*stop)(void *state);
} omc_transform_ops;

typedef struct omc_predicate_ops {
    uint32_t size;
    uint32_t flags;
    size_t state_size;
    int (*start)(void *state, const omc_config *config, omc_error *err);
    /** @return 1 = matches, 0 = does not, or an error. */
    int (*test)(void *state, const omc_record *record, omc_error *err);
    void (*stop)(void *state);
} omc_predicate_ops;

/** Values to bytes and back (Java: RecordConverter). One instance per task and side. */
typedef struct omc_converter_ops {
    uint32_t size;
    uint32_t flags;
    size_t state_size;
    int (*start)(void *state, const omc_config *config, bool is_key, omc_error *err);
    /**
     * @param[out] ret   Bytes in `arena` or borrowed from `value`; base == NULL means "no bytes"
     *                   (a null value, a tombstone).
     */
    int (*from_connect)(void *state, const char *topic, const omc_keyvalue *extensions,
                        const omc_schema *schema, const omc_value *value, omc_arena *arena,
                        omc_slice *ret, omc_error *err);
    /** `bytes` outlives the result, which may borrow from it. */
    int (*to_connect)(void *state, const char *topic, const omc_keyvalue *extensions,
                      omc_slice bytes, omc_arena *arena, const omc_schema **ret_schema,
                      omc_value *ret_value, omc_error *err);
    void (*stop)(void *state);
} omc_converter_ops;

/* ---- the plugin ------------------------------------------------------------------------------ */

/** omc_plugin.flags: keys that are not in the option table are the plugin's affair, no mistakes. */
#define OMC_PLUGIN_ANY_KEY 1u

/** One plugin. Constant; instances are made by the host. */
typedef struct omc_plugin {
    uint32_t abi;              /**< OMC_ABI_CURRENT of the header it was built with. */
    uint32_t size;             /**< sizeof(omc_plugin) of that header. */
    uint32_t kind;             /**< omc_plugin_kind. */
    uint32_t flags;            /**< OMC_PLUGIN_*. */
    const char *name;          /**< "file-source": [a-z0-9-]. */
    const char *classes;       /**< Java class names it answers to, comma separated; may be NULL. */
    const char *version;       /**< "1.0.0" */
    const char *doc;           /**< One sentence. */
    const omc_option *options; /**< Option table; NULL = any key is accepted. */
    uint32_t option_count;
    uint32_t option_size; /**< sizeof(omc_option) of its header. */
    size_t options_size;  /**< sizeof the options struct the offsets refer to. */
    const void *ops;      /**< omc_source_ops, omc_sink_ops, ... by kind; begins with its size. */
    const void *data;     /**< The plugin's own; comes back in omc_config.plugin. May be NULL. */
} omc_plugin;

#if defined(_WIN32)
#define OMC_EXPORT __declspec(dllexport)
#elif defined(__GNUC__)
#define OMC_EXPORT __attribute__((visibility("default")))
#else
#define OMC_EXPORT
#endif

#define OMC_ENTRY_SYMBOL "omc_plugin_entry"

/**
 * The one exported symbol.
 * @param host_abi  The host's ABI; a plugin may refuse it by returning NULL.
 * @param host      Services; valid as long as the process.
 * @return a NULL-terminated array of plugins, valid as long as the process.
 */
typedef const omc_plugin *const *omc_plugin_entry_fn(uint32_t host_abi, const omc_host *host);

#ifdef __cplusplus
}
#endif
#endif
