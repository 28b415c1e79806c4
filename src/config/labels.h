/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Labels of workers, and those that connectors require of them: lists of key=value in one usual
 * form, so that equal lists are equal texts. Any thread.
 */
#ifndef RC_LABELS_H
#define RC_LABELS_H

#include "base/base.h"

#define RC_LABELS_MAX 32        /**< Labels in one list. */
#define RC_LABEL_TEXT_MAX 63    /**< Bytes of a key, and of a value. */
#define RC_LABELS_TEXT_MAX 4096 /**< Bytes of a list in the usual form. */

/**
 * Reads "key=value" items ("zone=a, disk=ssd"; separators `,` or `;`, spaces around are dropped)
 * into the usual form: sorted by key, joined by ','. Keys and values consist of letters, digits,
 * '.', '_', '-' and '/'; each key comes once.
 * @param ret  NUL-terminated; "" for an empty list.
 * @return 0 or -OMC_EINVAL with the item, its fault and the cure.
 */
int rc_labels_parse(const char *text, char ret[RC_LABELS_TEXT_MAX], rc_error *err);

/** Whether `labels` has all of `required`; both in the usual form, NULL = none. */
bool rc_labels_match(const char *labels, const char *required);

#endif
