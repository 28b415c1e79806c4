/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client's headers stand alone, and inside they share the types of the inner rooms. Here, and
 * only here, its headers come first, so that both definitions exist and can be compared.
 */
#include <rocketmq/message.h>
/* The order above is the point of this file. */
#include "base/base.h"

_Static_assert(sizeof(rmq_error) == sizeof(rc_error), "one layout");
_Static_assert(offsetof(rmq_error, flags) == offsetof(rc_error, flags), "one layout");
_Static_assert(offsetof(rmq_error, msg) == offsetof(rc_error, msg), "one layout");
_Static_assert(sizeof(rmq_slice) == sizeof(rc_slice), "one layout");
_Static_assert(offsetof(rmq_slice, len) == offsetof(rc_slice, len), "one layout");
_Static_assert((int)RMQ_EACCES == (int)OMC_EACCES && (int)RMQ_EINTERNAL == (int)OMC_EINTERNAL,
               "one list of codes");
_Static_assert(RMQ_ERR_RETRIABLE == OMC_ERR_RETRIABLE && RMQ_ERR_FATAL == OMC_ERR_FATAL,
               "one list of flags");
