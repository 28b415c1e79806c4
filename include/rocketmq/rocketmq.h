/* SPDX-License-Identifier: Apache-2.0 */
/** Everything of the RocketMQ client: include this one. */
#ifndef RMQ_ROCKETMQ_H
#define RMQ_ROCKETMQ_H

#include <rocketmq/admin.h>
#include <rocketmq/client.h>
#include <rocketmq/consumer.h>
#include <rocketmq/error.h>
#include <rocketmq/message.h>
#include <rocketmq/producer.h>
#include <rocketmq/strict.h>

#endif
