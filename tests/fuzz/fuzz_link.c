/*
 * What a decoder says, as the server hears it. The target is its own decoder: started anew it sends
 * whatever stands in the file that it is handed.
 */
#include "fuzz.h"

#include "base/clock.h"
#include "base/text.h"
#include "serve/decoder.h"
#include "serve/job.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define ROOM (UINT64_C(1) << 20)

static struct decoder decoder;

/* Message after message; the last may be a short one. */
static void send_all(int file)
{
	static uint8_t data[8 * sizeof(struct link_reply)];
	ssize_t size = pread(file, data, sizeof data, 0);

	for (size_t at = 0; size > 0 && at < (size_t)size; at += sizeof(struct link_reply)) {
		size_t rest = (size_t)size - at, whole = sizeof(struct link_reply);

		send(DECODER_SOCKET, data + at, rest < whole ? rest : whole, MSG_NOSIGNAL);
	}
	close(file);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct link_job job;
	int file;

	if (*argc > 1 && !strcmp((*argv)[1], DECODER_MODE)) {
		while (job_receive(&job, &file))
			if (file >= 0)
				send_all(file);
		_exit(0);
	}
	decoder = DECODER_NONE;
	decoder.segment_fd = memfd_create("segment", MFD_CLOEXEC);
	decoder.setup.reserve = ROOM;
	FUZZ_CHECK(decoder.segment_fd >= 0);
	return 0;
}

static int make_room(void *context, const struct image_info *info, uint64_t bytes,
	uint64_t *ret_offset, uint64_t *ret_length, struct error *err)
{
	(void)context;
	(void)info;
	if (bytes > ROOM)
		return error_set(err, STATUS_TRY_AGAIN, "no room");
	*ret_offset = 0;
	*ret_length = ROOM;
	return STATUS_OK;
}

/* The first byte chooses what is asked. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct image_limits limits = {.pixels = 1 << 20, .bytes = 1 << 21, .side = 4096};
	const struct image_options options = {0};
	int file = memfd_create("messages", MFD_CLOEXEC), status;
	struct decoder_job job = {.kind = size && data[0] & 1 ? LINK_PROBE : LINK_DECODE,
		.number = 1,
		.file = file,
		.file_size = size,
		.options = &options,
		.limits = &limits,
		.length = size && data[0] & 2 ? ROOM / 2 : 0,
		.timeout_ns = 20 * NS_PER_MS,
		.make_room = make_room};
	struct decoded decoded;
	struct error err = {0};
	bool died;

	FUZZ_CHECK(file >= 0);
	if (size > 1)
		FUZZ_CHECK(write(file, data + 1, size - 1) == (ssize_t)(size - 1));
	status = decoder_run(&decoder, &job, &decoded, &died, &err);
	close(file);
	if (status) {
		FUZZ_CHECK(err.text[0] && text_is_plain(err.text, strlen(err.text)));
		return 0;
	}
	FUZZ_CHECK(decoded.info.bytes <= limits.bytes && decoded.info.width <= limits.side);
	FUZZ_CHECK(job.kind == LINK_PROBE || decoded.total <= ROOM);
	FUZZ_CHECK(text_is_plain(decoded.warning, strlen(decoded.warning)));
	return 0;
}
