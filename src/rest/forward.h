/* SPDX-License-Identifier: Apache-2.0 */
/**
 * A request for a connector or task that another worker runs: made there, signed, and answered as
 * that worker answers. What is asked of the shared state alone is never forwarded; a route says
 * with ROUTE_OWNER that it needs the process that runs the unit.
 *
 * Loop's thread. A call is a thread of its own while it lasts (libcurl blocks).
 */
#ifndef RC_REST_FORWARD_H
#define RC_REST_FORWARD_H

#include "rest/exchange.h"

/** Calls to other workers at a time; more are answered 503. */
#define FORWARD_CALLS_MAX 32
/** How often an owner is looked up again that answers that it is none (any more). */
#define FORWARD_TRIES 4
/** Between them. */
#define FORWARD_PAUSE_MS 250

/**
 * Checks a signature that came with the request (`value` NULL: none came). Needs the whole body.
 * @return false when it was answered 403.
 */
bool forward_admit(exchange *ex, const char *value);

/**
 * Sends the request to its owner when that is not this worker.
 * @return true when the exchange waits or is answered; false: it is ours.
 */
bool forward_to_owner(exchange *ex);

#endif
