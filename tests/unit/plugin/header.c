/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Compiled as strict C11 and as C++11: the public header must be plain, and every layout that is
 * frozen with ABI major 1 must stay what it was in 1.0 (64 bit). Structs that may grow are
 * checked by the offset of their last member of 1.0 instead.
 */
#include <openmessaging/connect.h>

#ifdef __cplusplus
#define CHECK(cond) static_assert(cond, #cond)
#else
#define CHECK(cond) _Static_assert(cond, #cond)
#endif
#define SIZE(type, bytes) CHECK(sizeof(type) == (bytes))
#define AT(type, member, bytes) CHECK(offsetof(type, member) == (bytes))

CHECK(sizeof(void *) == 8);

/* Frozen for ever. */
SIZE(omc_slice, 16);
SIZE(omc_arena, 24);
SIZE(omc_value, 40);
AT(omc_value, u, 8);
AT(omc_value, text, 24);
SIZE(omc_array, 16);
SIZE(omc_entry, 80);
SIZE(omc_map, 16);
SIZE(omc_pair, 32);
SIZE(omc_keyvalue, 16);
SIZE(omc_field, 16);
SIZE(omc_schema, 128);
AT(omc_schema, default_value, 24);
AT(omc_schema, parameters, 80);
SIZE(omc_struct, 16);
SIZE(omc_position, 32);
SIZE(omc_error, 1024);
SIZE(omc_list, 16);

/* May grow at the end only. */
AT(omc_record, position, 104);
AT(omc_record, reserved, 176);
AT(omc_batch, bytes_max, 72);
AT(omc_option, aliases, 64);
AT(omc_plugin, ops, 72);
AT(omc_config, plugin, 24);
AT(omc_host, log, 24);
AT(omc_source_context, read_offset, 80);
AT(omc_sink_context, report, 112);
AT(omc_connector_context, raise_error, 48);
AT(omc_queue, id, 16);
AT(omc_queue_offset, state, 32);
AT(omc_send_result, message_id, 32);
AT(omc_source_ops, poll, 72);
AT(omc_source_ops, stop, 96);
AT(omc_sink_ops, put, 88);
AT(omc_sink_ops, stop, 120);
AT(omc_transform_ops, stop, 32);
AT(omc_predicate_ops, stop, 32);
AT(omc_converter_ops, stop, 40);

/* Codes and kinds go over processes and disks: their numbers never change. */
CHECK(OMC_EFENCED == 17 && OMC_EINTERNAL == 16 && OMC_ESTATE == 13 && OMC_EABI == 14);
CHECK(OMC_NUMBER_TEXT == 14 && OMC_STRUCT == 13 && OMC_DATETIME == 12);
CHECK(OMC_SOURCE == 1 && OMC_CONVERTER == 5 && OMC_OPT_REGEX == 11);
CHECK(OMC_FINISHED == -4096);
CHECK(OMC_ABI_CURRENT >= 0x10000u);

static int number(const char *text, int64_t *ret)
{
    omc_value value = omc_null();

    value.kind = OMC_NUMBER_TEXT;
    value.text = omc_slice_str(text);
    return omc_value_int64(&value, ret);
}

/* The inline functions that are more than an assignment. */
int main(void)
{
    omc_error err = {0, 0, ""};
    omc_value value = omc_integer(OMC_INT32, -3);
    int64_t n = 7;

    if (omc_fail(&err, OMC_EINVAL, OMC_ERR_FATAL, "%d", 1) != -OMC_EINVAL || err.msg[0] != '1')
        return 1;
    if (number("", &n) || number("-", &n) || number("1.0", &n) || number("+1", &n) ||
        number("9223372036854775808", &n) || number("-9223372036854775809", &n) ||
        number("99999999999999999999", &n) || omc_value_int64(NULL, &n) || n != 7)
        return 2;
    if (!number("9223372036854775807", &n) || n != INT64_MAX ||
        !number("-9223372036854775808", &n) || n != INT64_MIN || !number("-0", &n) || n != 0 ||
        !number("42", &n) || n != 42 || !omc_value_int64(&value, &n) || n != -3)
        return 3;
    return 0;
}
