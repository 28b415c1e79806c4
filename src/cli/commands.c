/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dispatch: finds the row of a command by its one or two words, reads its options with
 * getopt_long from the row, checks the number of arguments, and runs it.
 */
#include "base/units.h"
#include "cli/command.h"

#include <getopt.h>
#include <stdio.h>
#include <unistd.h>

#define PROGRAM "rocketmq-connect"
#define OPTIONS_MAX 24
#define HELP_VALUE 1000 /* getopt values of long options begin here */

static const rc_command *const groups[] = {
    rc_run_commands,    rc_standalone_commands, rc_validate_commands, rc_connector_commands,
    rc_plugin_commands, rc_cluster_commands,    rc_docs_commands,     rc_help_commands,
};

const rc_command *rc_command_at(size_t i)
{
    for (size_t g = 0; g < RC_COUNT(groups); g++)
        for (const rc_command *c = groups[g]; c->name; c++)
            if (i-- == 0)
                return c;
    return NULL;
}

/* ---- what was given ------------------------------------------------------------------------- */

const char *rc_args_nth(const rc_args *args, const char *option, size_t n)
{
    for (size_t i = 0; i < args->given_count; i++)
        if (!strcmp(args->given[i].option->name, option) && n-- == 0)
            return args->given[i].value ? args->given[i].value : "";
    return NULL;
}

const char *rc_args_get(const rc_args *args, const char *option)
{
    const char *last = NULL;

    for (size_t i = 0; i < args->given_count; i++)
        if (!strcmp(args->given[i].option->name, option))
            last = args->given[i].value ? args->given[i].value : "";
    return last;
}

bool rc_args_has(const rc_args *args, const char *option)
{
    return rc_args_nth(args, option, 0) != NULL;
}

int rc_usage(const rc_args *args, const char *fmt, ...)
{
    const char *name = args && args->command ? args->command->name : "";
    va_list ap;

    va_start(ap, fmt);
    (void)fputs(PROGRAM ": ", stderr);
    (void)vfprintf(stderr, fmt, ap);
    va_end(ap);
    (void)fprintf(stderr, "\nTry '" PROGRAM "%s%s --help'.\n", *name ? " " : "", name);
    return RC_EXIT_USAGE;
}

rc_exit rc_exit_of(int code)
{
    switch (code < 0 ? -code : code) {
    case OMC_OK:
        return RC_EXIT_OK;
    case OMC_EINVAL:
    case OMC_EFORMAT:
    case OMC_EUNSUPPORTED:
    case OMC_EABI:
        return RC_EXIT_CONFIG;
    case OMC_ECONNECT:
    case OMC_ETIMEDOUT:
        return RC_EXIT_UNREACHABLE;
    case OMC_ENOTFOUND:
        return RC_EXIT_NOT_FOUND;
    case OMC_EEXIST:
    case OMC_ESTATE:
        return RC_EXIT_CONFLICT;
    default:
        return RC_EXIT_FAILED;
    }
}

int rc_exit_print(const rc_error *err)
{
    (void)fprintf(stderr, "error: %s\n", err->msg);
    return (int)rc_exit_of(err->code);
}

int rc_print(const rc_buf *out)
{
    if (out->len && fwrite(out->data, 1, out->len, stdout) != out->len)
        return RC_EXIT_FAILED;
    return fflush(stdout) ? RC_EXIT_FAILED : RC_EXIT_OK;
}

/* ---- dispatch ------------------------------------------------------------------------------- */

/* Fills getopt's two forms of the row's options; -h/--help is everywhere. */
static size_t getopt_tables(const rc_command *command, struct option *longs, char *shorts)
{
    size_t n = 0;

    *shorts++ = ':'; /* tells a missing argument from an unknown option */
    for (const rc_cli_option *o = command->options; o && o->name; o++, n++) {
        RC_ASSERT(n + 2 < OPTIONS_MAX);
        longs[n] = (struct option){o->name, o->arg ? required_argument : no_argument, NULL,
                                   HELP_VALUE + 1 + (int)n};
        if (o->letter) {
            *shorts++ = o->letter;
            if (o->arg)
                *shorts++ = ':';
        }
    }
    longs[n] = (struct option){"help", no_argument, NULL, HELP_VALUE};
    longs[n + 1] = (struct option){0};
    *shorts++ = 'h';
    *shorts = '\0';
    return n;
}

static const rc_cli_option *option_of(const rc_command *command, int value)
{
    for (const rc_cli_option *o = command->options; o && o->name; o++)
        if ((o->letter && value == o->letter) || value == HELP_VALUE + 1 + (o - command->options))
            return o;
    return NULL;
}

static int unknown_option(const rc_args *args, const char *word)
{
    const char *names[OPTIONS_MAX], *nearest;
    size_t count = 0;

    for (const rc_cli_option *o = args->command->options; o && o->name; o++)
        names[count++] = o->name;
    nearest = !strncmp(word, "--", 2) ? rc_nearest(word + 2, names, count) : NULL;
    if (nearest)
        return rc_usage(args, "unknown option '%s'; did you mean '--%s'?", word, nearest);
    return rc_usage(args, "unknown option '%s'", word);
}

/* @return -1 to go on, or an exit code. */
static int read_options(rc_args *args, int argc, char **argv)
{
    struct option longs[OPTIONS_MAX];
    char shorts[2 * OPTIONS_MAX + 4];
    int value;

    getopt_tables(args->command, longs, shorts);
    optind = 0; /* glibc: start afresh */
    opterr = 0;
    while ((value = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
        const rc_cli_option *option = option_of(args->command, value);

        if (value == 'h' || value == HELP_VALUE) {
            rc_buf out = RC_BUF(1 << 20);
            int r;

            rc_command_help(args->command, &out);
            r = rc_print(&out);
            rc_buf_release(&out);
            return r;
        }
        if (value == ':')
            return rc_usage(args, "option '%s' needs a value", argv[optind - 1]);
        if (!option)
            return unknown_option(args, argv[optind - 1]);
        if (args->given_count == RC_CLI_GIVEN_MAX)
            return rc_usage(args, "more than %d options", RC_CLI_GIVEN_MAX);
        args->given[args->given_count].option = option;
        args->given[args->given_count++].value = optarg;
    }
    args->items = argv + optind;
    args->count = argc - optind;
    return -1;
}

/* The row whose words the arguments begin with; *words = how many words. */
static const rc_command *find(int argc, char **argv, int *words)
{
    const rc_command *c;

    for (size_t i = 0; (c = rc_command_at(i)); i++) {
        size_t first = strcspn(c->name, " ");

        if (strlen(argv[1]) != first || strncmp(argv[1], c->name, first) != 0)
            continue;
        *words = c->name[first] ? 2 : 1;
        if (*words == 1 || (argc > 2 && !strcmp(argv[2], c->name + first + 1)))
            return c;
    }
    return NULL;
}

static int unknown_command(int argc, char **argv)
{
    const char *names[64], *nearest;
    RC_AUTO_FREE char *two =
        rc_format("%s%s%s", argv[1], argc > 2 ? " " : "", argc > 2 ? argv[2] : "");
    size_t count = 0, group = strlen(argv[1]);
    bool known_group = false;
    const rc_command *c;

    for (size_t i = 0; (c = rc_command_at(i)) && count + 2 < RC_COUNT(names); i++) {
        if (!strncmp(c->name, argv[1], group) && c->name[group] == ' ')
            known_group = true;
        names[count++] = c->name;
    }
    if (known_group && argc == 2) {
        (void)fprintf(stderr, PROGRAM ": '%s' needs a second word:", argv[1]);
        for (size_t i = 0; i < count; i++)
            if (!strncmp(names[i], argv[1], group) && names[i][group] == ' ')
                (void)fprintf(stderr, " %s", names[i] + group + 1);
        (void)fputs("\n", stderr);
        return RC_EXIT_USAGE;
    }
    names[count++] = "connector";
    names[count++] = "plugin";
    nearest = rc_nearest(two, names, count);
    if (!nearest && !known_group)
        nearest = rc_nearest(argv[1], names, count);
    if (nearest)
        return rc_usage(NULL, "unknown command '%s'; did you mean '%s'?",
                        known_group ? two : argv[1], nearest);
    return rc_usage(NULL, "unknown command '%s'", known_group ? two : argv[1]);
}

int rc_cli_main(int argc, char **argv, const omc_plugin *const *connectors)
{
    static char help[] = "help", version[] = "version";
    rc_args args = {.connectors = connectors};
    int words = 0, r;

    if (argc < 2) {
        rc_buf out = RC_BUF(1 << 20);

        rc_command_help(NULL, &out);
        if (out.data)
            (void)fputs(out.data, stderr);
        rc_buf_release(&out);
        return RC_EXIT_USAGE;
    }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))
        argv[1] = help;
    else if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V"))
        argv[1] = version;
    args.command = find(argc, argv, &words);
    if (!args.command)
        return unknown_command(argc, argv);
    r = read_options(&args, argc - words, argv + words);
    if (r >= 0)
        return r;
    if (args.count < args.command->args_min)
        return rc_usage(&args, "missing argument: %s", args.command->args);
    if (args.command->args_max >= 0 && args.count > args.command->args_max)
        return rc_usage(&args, "unexpected argument '%s'", args.items[args.command->args_max]);
    return args.command->run(&args);
}
