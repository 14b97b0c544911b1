/* Every mechanism, by the file of its family. */
#pragma once

#include "bench/transport.h"

/* cache_line.c */
extern const struct transport transport_cache_line;
/* posix_shm.c */
extern const struct transport transport_posix_spin_place, transport_posix_spin_copy;
extern const struct transport transport_posix_sleep_place, transport_posix_sleep_copy;
/* classic.c */
extern const struct transport transport_classic;
/* sysv.c */
extern const struct transport transport_sysv;
/* ring.c */
extern const struct transport transport_ring;
/* mapped_file.c */
extern const struct transport transport_mapped_file;
/* futex_eventfd.c */
extern const struct transport transport_futex, transport_eventfd;
/* streams.c */
extern const struct transport transport_pipe, transport_fifo, transport_unix_socket;
/* queues.c */
extern const struct transport transport_posix_queue, transport_sysv_queue;
