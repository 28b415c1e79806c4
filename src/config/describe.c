/* SPDX-License-Identifier: Apache-2.0 */
/** Option tables as Markdown, the single source of help and of the documents. */
#include "config/options.h"
#include "config/value.h"

const char *rc_option_type_name(omc_option_type type)
{
    static const char *const names[] = {
        [OMC_OPT_STRING] = "string",
        [OMC_OPT_BOOLEAN] = "boolean",
        [OMC_OPT_INT] = "int",
        [OMC_OPT_DOUBLE] = "double",
        [OMC_OPT_DURATION_MS] = "duration",
        [OMC_OPT_SIZE] = "size",
        [OMC_OPT_LIST] = "list",
        [OMC_OPT_CHOICE] = "choice",
        [OMC_OPT_PASSWORD] = "password",
        [OMC_OPT_CLASS] = "class",
        [OMC_OPT_REGEX] = "regex",
    };
    const char *name = (unsigned)type < RC_COUNT(names) ? names[type] : NULL;

    return name ? name : "unknown";
}

/* Adds text to a cell of the table. */
static void add_cell(rc_buf *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '|')
            rc_buf_char(out, '\\');
        rc_buf_char(out, *text == '\n' ? ' ' : *text);
    }
}

static void add_range(rc_buf *out, const omc_option *row)
{
    char range[RC_RANGE_TEXT_MAX];

    if (row->type == OMC_OPT_CHOICE && row->choices) {
        add_cell(out, row->choices);
        return;
    }
    add_cell(out, rc_range_text(row, range));
}

static void add_doc(rc_buf *out, const omc_option *row)
{
    if (row->flags & OMC_OPT_IGNORED)
        rc_buf_str(out, "*Accepted, without effect.* ");
    if (row->flags & OMC_OPT_DEPRECATED)
        rc_buf_str(out, "*Deprecated.* ");
    add_cell(out, row->doc ? row->doc : "");
    if (row->aliases && *row->aliases) {
        rc_buf_str(out, " Also: `");
        add_cell(out, row->aliases);
        rc_buf_str(out, "`.");
    }
}

void rc_options_describe(const rc_option_table *table, rc_buf *out)
{
    rc_buf_str(out, "| Key | Type | Default | Range | What it does |\n"
                    "| --- | --- | --- | --- | --- |\n");
    for (size_t i = 0; i < table->count; i++) {
        omc_option row = rc_option_at(table, i);

        if (!row.name)
            continue;
        rc_buf_str(out, "| `");
        add_cell(out, row.name);
        rc_buf_str(out, row.flags & OMC_OPT_PREFIX ? "*` | " : "` | ");
        rc_buf_str(out, rc_option_type_name(row.type));
        rc_buf_str(out, " | ");
        if (row.flags & OMC_OPT_REQUIRED) {
            rc_buf_str(out, "required");
        } else if (row.default_value && *row.default_value) {
            rc_buf_char(out, '`');
            add_cell(out, row.default_value);
            rc_buf_char(out, '`');
        }
        rc_buf_str(out, " | ");
        add_range(out, &row);
        rc_buf_str(out, " | ");
        add_doc(out, &row);
        rc_buf_str(out, " |\n");
    }
}
