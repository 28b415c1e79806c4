/* SPDX-License-Identifier: Apache-2.0 */
/** OpenMessaging Connect in C: include this one header to write a plugin. */
#ifndef OMC_CONNECT_H
#define OMC_CONNECT_H

#include <openmessaging/connect/data.h>
#include <openmessaging/connect/error.h>
#include <openmessaging/connect/options.h>
#include <openmessaging/connect/plugin.h>

#endif
