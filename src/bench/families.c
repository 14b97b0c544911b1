#include "bench/families.h"

#include <string.h>

const struct transport *const transports[] = {
	&transport_cache_line,
	&transport_posix_spin_place,
	&transport_posix_spin_copy,
	&transport_posix_sleep_place,
	&transport_posix_sleep_copy,
	&transport_classic,
	&transport_sysv,
	&transport_ring,
	&transport_mapped_file,
	&transport_futex,
	&transport_eventfd,
	&transport_pipe,
	&transport_fifo,
	&transport_unix_socket,
	&transport_posix_queue,
	&transport_sysv_queue,
	NULL,
};

const struct transport *transport_find(const char *name)
{
	for (size_t i = 0; transports[i]; i++)
		if (!strcmp(transports[i]->name, name))
			return transports[i];
	return NULL;
}
