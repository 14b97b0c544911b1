#pragma once

/* Tells the service manager (sd_notify(3)) if there is one: a datagram to $NOTIFY_SOCKET. Failure
 * is nobody's business. */
void notify_manager(const char *message);
