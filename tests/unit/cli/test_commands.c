/* SPDX-License-Identifier: Apache-2.0 */
/* The command line as a table: every row is complete, and exit codes are those documented. */
#include "unit.h"

#include "cli/command.h"
#include "cli/progress.h"

#include <fcntl.h>
#include <unistd.h>

static const omc_plugin *const no_connectors[] = {NULL};

/* Runs the command line with its output thrown away. */
static int cli(const char *const *words)
{
    char *argv[8] = {(char *)(uintptr_t) "rocketmq-connect"};
    char *copies[8] = {0};
    int argc = 1, out = dup(1), errs = dup(2), null = open("/dev/null", O_WRONLY), r;

    for (; words[argc - 1]; argc++) /* getopt permutes argv: freed by `copies` */
        argv[argc] = copies[argc] = rc_strdup(words[argc - 1]);
    (void)fflush(NULL);
    (void)dup2(null, 1);
    (void)dup2(null, 2);
    r = rc_cli_main(argc, argv, no_connectors);
    (void)fflush(NULL);
    (void)dup2(out, 1);
    (void)dup2(errs, 2);
    (void)close(out);
    (void)close(errs);
    (void)close(null);
    for (int i = 1; i < argc; i++)
        free(copies[i]);
    return r;
}

static void exit_codes_are_those_documented(void **state)
{
    static const struct {
        const char *words[6];
        int code;
    } cases[] = {
        {{"version"}, RC_EXIT_OK},
        {{"--version"}, RC_EXIT_OK},
        {{"help"}, RC_EXIT_OK},
        {{"--help"}, RC_EXIT_OK},
        {{"help", "connector", "create"}, RC_EXIT_OK},
        {{"run", "--help"}, RC_EXIT_OK},
        {{"docs", "config"}, RC_EXIT_OK},
        {{"docs", "commands"}, RC_EXIT_OK},
        {{"docs", "metrics"}, RC_EXIT_OK},
        {{"plugin", "describe", "string"}, RC_EXIT_OK},
        {{NULL}, RC_EXIT_USAGE},
        {{"rnu"}, RC_EXIT_USAGE},
        {{"connector"}, RC_EXIT_USAGE},
        {{"connector", "lst"}, RC_EXIT_USAGE},
        {{"run"}, RC_EXIT_USAGE},
        {{"run", "a", "b"}, RC_EXIT_USAGE},
        {{"run", "--restrat", "a"}, RC_EXIT_USAGE},
        {{"run", "a", "--set"}, RC_EXIT_USAGE},
        {{"run", "a", "--progress", "loud"}, RC_EXIT_USAGE},
        {{"docs", "nothing"}, RC_EXIT_USAGE},
        {{"help", "nothing"}, RC_EXIT_USAGE},
        {{"run", "/nonexistent.yaml"}, RC_EXIT_CONFIG},
        {{"validate", "/nonexistent.conf"}, RC_EXIT_CONFIG},
        {{"standalone", "-c", "/nonexistent.conf"}, RC_EXIT_CONFIG},
        {{"standalone", "--set", "httpPrt=1"}, RC_EXIT_CONFIG},
        {{"plugin", "describe", "nothing"}, RC_EXIT_NOT_FOUND},
    };

    (void)state;
    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        int code = cli(cases[i].words);

        if (code != cases[i].code)
            fail_msg("case %zu '%s %s': exit code %d, not %d", i,
                     cases[i].words[0] ? cases[i].words[0] : "",
                     cases[i].words[0] && cases[i].words[1] ? cases[i].words[1] : "", code,
                     cases[i].code);
    }
}

static void errors_become_exit_codes(void **state)
{
    static const struct {
        int error, code;
    } cases[] = {
        {0, 0},          {OMC_EINVAL, 3},   {-OMC_EINVAL, 3},
        {OMC_EIO, 1},    {OMC_ECONNECT, 4}, {OMC_ENOTFOUND, 5},
        {OMC_EEXIST, 6}, {OMC_ESTATE, 6},
    };

    (void)state;
    for (size_t i = 0; i < RC_COUNT(cases); i++)
        assert_int_equal(rc_exit_of(cases[i].error), cases[i].code);
}

static void every_command_is_complete(void **state)
{
    const rc_command *c;
    size_t i;

    (void)state;
    for (i = 0; (c = rc_command_at(i)); i++) {
        if (!c->run || !c->args || !c->help || !c->summary || !*c->summary)
            fail_msg("'%s' lacks something", c->name);
        if (c->summary[strlen(c->summary) - 1] != '.')
            fail_msg("summary of '%s' is no sentence", c->name);
        for (const rc_cli_option *o = c->options; o && o->name; o++)
            for (const rc_cli_option *p = o + 1; p->name; p++)
                if (!strcmp(o->name, p->name) || (o->letter && o->letter == p->letter))
                    fail_msg("'%s' has --%s or -%c twice", c->name, o->name, o->letter);
    }
    assert_true(i > 15);
}

static void progress_reads_well(void **state)
{
    static const struct {
        rc_sample sample;
        const char *text;
    } cases[] = {
        {{.ms = 1000, .records = 1234567, .bytes = 2500000, .fraction = 0.25, .note = ""},
         " 25 %  1,234,567 records  1,234,567/s  2.5 MB/s  ETA 3 s"},
        {{.ms = 1000, .records = 5, .bytes = 0, .fraction = -1}, "5 records  5/s  0.0 MB/s"},
        {{.ms = 1000, .records = 0, .bytes = 0, .fraction = 1, .note = "sink STALLED: full"},
         "100 %  0 records  0/s  0.0 MB/s  [sink STALLED: full]"},
        /* Earlier runs did half: the rest takes as long as this run's quarter did. */
        {{.ms = 2000, .records = 10, .fraction = 0.75, .fraction_start = 0.5, .note = ""},
         " 75 %  10 records  5/s  0.0 MB/s  ETA 2 s"},
    };

    (void)state;
    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        rc_progress progress;
        rc_buf out = RC_BUF(512);

        assert_int_equal(rc_progress_init(&progress, "plain", 2), 0);
        assert_int_equal(rc_progress_interval(&progress), 2000);
        rc_progress_text(&progress, &cases[i].sample, &out);
        assert_string_equal(out.data, cases[i].text);
        rc_buf_release(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exit_codes_are_those_documented),
        cmocka_unit_test(errors_become_exit_codes),
        cmocka_unit_test(every_command_is_complete),
        cmocka_unit_test(progress_reads_well),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
