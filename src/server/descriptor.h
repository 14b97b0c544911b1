/*
 * Messages over a Unix socket (SOCK_SEQPACKET), and the descriptor that may come with one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Without waiting; fd -1 for none. False if it cannot be told. */
bool descriptor_send(int socket, const void *message, size_t size, int fd);

/* As recvmsg(2) with these flags: the size of the message, 0 at the end, -1 with errno. The
 * descriptor, which is close-on-exec, or -1, goes to *ret_fd. */
ssize_t descriptor_receive(int socket, void *message, size_t size, int flags, int *ret_fd);
