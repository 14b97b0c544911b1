/*
 * libshmsem: the responder, for programs that make what they hand out. One thread, one data
 * segment; an image's room is used again once no requester holds it.
 */
#include "base/clock.h"
#include "base/number.h"
#include "base/process.h"
#include "client/error.h"
#include "ipc/guard.h"
#include "ipc/place.h"
#include "ipc/publish.h"
#include "ipc/semaphore.h"
#include "ipc/turn.h"
#include "shmsem.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SEATS_DEFAULT  16
#define SPIN_BUDGET_NS (50 * NS_PER_US)
#define CHECK_NS       (250 * NS_PER_MS)
#define ICC_ALIGN      64

/* An image that was handed out, for as long as somebody may hold it. */
struct placed {
	struct placed *next;
	struct extent *extent;
	uint64_t number;
};

struct shmsem_server {
	struct shmsem_serve_options options;
	pid_t owner;
	struct publication objects;
	struct place place;
	struct placed *placed;
	uint64_t next_number, next_check;
	bool distrust; /* room that is warm by the books may not exist: reserve it again */
	struct turn_wait wait;
	struct turn turn; /* the request being answered */
	char *names;      /* the list that is being handed out, each name ended by a NUL */
	size_t names_size;
	atomic_bool stopping;
};

struct shmsem_answer {
	struct shmsem_server *server;
	bool listing; /* for shmsem_add_name, else for shmsem_place */
	struct shmsem_info info;
	struct placed *placed;
	char **names;
	size_t names_count, names_room;
};

static struct wire_seat *answer_page(const struct shmsem_server *server)
{
	return head_seat(&server->objects.head, server->turn.seat);
}

/* ---- room ---- */

static void forget(struct shmsem_server *server, struct placed *placed)
{
	place_give(&server->place, placed->extent);
	free(placed);
}

/* Gives back the room of images that nobody holds any more. */
static int reclaim_room(struct shmsem_server *server, struct error *err)
{
	struct placed **at = &server->placed, *placed;
	struct held held;

	if (!held_collect(&server->objects.head, NULL, NULL, &held))
		return error_os(err, ENOMEM, "no memory to look for room");
	while ((placed = *at))
		if (held_contains(&held, placed->number)) {
			at = &placed->next;
		} else {
			*at = placed->next;
			forget(server, placed);
		}
	free(held.numbers);
	return STATUS_OK;
}

static int no_room(uint64_t bytes, const struct shmsem_server *server, struct error *err)
{
	char need[SIZE_TEXT_SIZE], have[SIZE_TEXT_SIZE], allowed[SIZE_TEXT_SIZE];

	return error_set(err, STATUS_TRY_AGAIN,
		"no room: %s needed, %s held by clients, %s allowed", format_size(bytes, need),
		format_size(server->place.used, have),
		format_size(server->options.memory, allowed));
}

static int take_room(
	struct shmsem_server *server, uint64_t bytes, struct placed **ret, struct error *err)
{
	struct segment *segment = &server->objects.data[0];
	struct placed *placed;
	struct extent *first;
	uint64_t cold;
	int status;

	if (!size_align(bytes, PLACE_PAGE, &bytes))
		return no_room(bytes, server, err);
	status = reclaim_room(server, err);
	if (status)
		return status;
	cold = place_find(&server->place, bytes, &first);
	if (cold == UINT64_MAX)
		return no_room(bytes, server, err);
	placed = calloc(1, sizeof *placed);
	if (placed)
		placed->extent = place_take(&server->place, first, bytes);
	if (!placed || !placed->extent) {
		free(placed);
		return error_os(err, ENOMEM, "no memory to make room");
	}
	if (cold || server->distrust)
		status = segment_back(segment, placed->extent->offset, bytes, err);
	if (status) {
		/* It passes for warm now, and may be in part. */
		server->distrust = true;
		forget(server, placed);
		return status;
	}
	placed->number = server->next_number++;
	*ret = placed;
	return STATUS_OK;
}

static int check_geometry(
	const struct shmsem_info *given, struct shmsem_info *ret, struct error *err)
{
	uint64_t stride;

	*ret = *given;
	if (!ret->bits)
		ret->bits = 8;
	stride = (uint64_t)ret->width * ret->channels * (ret->bits / 8);
	if (!ret->width || ret->width > INT32_MAX || !ret->height || ret->height > INT32_MAX ||
		!ret->channels || ret->channels > 4 || (ret->bits != 8 && ret->bits != 16) ||
		stride > UINT32_MAX || !size_multiply(stride, ret->height, &ret->bytes))
		return error_set(err, STATUS_INTERNAL,
			"the program made an impossible image: %u×%u×%u of %u bits", ret->width,
			ret->height, ret->channels, ret->bits);
	ret->stride = (uint32_t)stride;
	return STATUS_OK;
}

static int place_image(struct shmsem_answer *answer, const struct shmsem_info *info,
	void **ret_pixels, void **ret_icc, struct error *err)
{
	struct shmsem_server *server = answer->server;
	uint64_t total, profile;
	uint8_t *base;
	int status;

	if (answer->listing || answer->info.width)
		return error_set(
			err, STATUS_USAGE, "shmsem_place is for one image of the callback 'make'");
	status = check_geometry(info, &answer->info, err);
	if (status)
		return status;
	*ret_pixels = NULL;
	if (ret_icc)
		*ret_icc = NULL;
	if (server->turn.request.operation != WIRE_GET)
		return STATUS_OK;
	if (!size_align(answer->info.bytes, ICC_ALIGN, &profile) ||
		!size_add(profile, info->icc_bytes, &total))
		return no_room(answer->info.bytes, server, err);
	status = take_room(server, total, &answer->placed, err);
	if (status)
		return status;
	base = server->objects.data[0].base + answer->placed->extent->offset;
	answer->info.offset = profile;
	*ret_pixels = base;
	if (ret_icc && info->icc_bytes)
		*ret_icc = base + profile;
	return STATUS_OK;
}

int shmsem_place(struct shmsem_answer *answer, const struct shmsem_info *info, void **ret_pixels,
	void **ret_icc, struct shmsem_error *error)
{
	struct error err = {0};

	return error_give(error, &err, place_image(answer, info, ret_pixels, ret_icc, &err));
}

/* ---- answers ---- */

static void complete(struct shmsem_server *server, uint64_t image)
{
	if (turn_complete(&server->objects.head, &server->turn, image))
		semaphore_post(server->objects.responses[server->turn.seat]);
}

static void refuse(struct shmsem_server *server, const struct error *failure)
{
	turn_fail(&server->objects.head, server->turn.seat, failure);
	atomic_fetch_add(&head_server(&server->objects.head)->counters[WIRE_COUNT_FAILURES], 1);
	complete(server, 0);
}

static void answer_text(struct shmsem_server *server, const char *text, size_t length)
{
	struct wire_answer answer = {0};

	turn_text(answer_page(server), &answer, text, length);
	turn_answer(&server->objects.head, server->turn.seat, (const uint64_t[4]){0}, &answer);
	complete(server, 0);
}

static void answer_image(struct shmsem_server *server, const struct shmsem_answer *made)
{
	struct wire_seat_counters *seat = head_seat_counters(
		&server->objects.head, server->turn.seat);
	struct wire_server *page = head_server(&server->objects.head);
	const struct shmsem_info *info = &made->info;
	const uint64_t words[4] = {info->bytes, info->width, info->height, info->channels};
	const struct placed *placed = made->placed;
	struct wire_answer answer = {
		.flags = info->warning[0] ? WIRE_WARNING : 0,
		.image = placed ? placed->number : 0,
		.stride = info->stride,
		.icc_bytes = info->icc_bytes,
		.file_width = info->file_width,
		.file_height = info->file_height,
		.bits = info->bits,
		.format = info->format,
		.orientation = info->orientation,
		.scale = info->scale ? info->scale : 1,
		.file_bits = info->file_bits,
		.file_channels = info->file_channels,
		.file_bytes = info->file_bytes,
		.gamma = info->gamma,
		.comments = info->comments,
		.age = info->age_ns,
	};

	memcpy(answer.chromaticities, info->chromaticities, sizeof answer.chromaticities);
	if (placed) {
		answer.offset = placed->extent->offset;
		answer.icc_offset = placed->extent->offset + info->offset;
		atomic_fetch_add(&page->counters[WIRE_COUNT_DECODES], 1);
		atomic_fetch_add(&seat->bytes, info->bytes);
	}
	if (info->warning[0])
		turn_text(answer_page(server), &answer, info->warning,
			strnlen(info->warning, sizeof info->warning));
	turn_answer(&server->objects.head, server->turn.seat, words, &answer);
	atomic_store(&page->counters[WIRE_COUNT_CACHE_BACKED], server->place.backed);
	atomic_store(&page->counters[WIRE_COUNT_CACHE_USED], server->place.used);
	complete(server, answer.image);
}

static void serve_image(struct shmsem_server *server)
{
	const struct wire_options *options = &server->turn.request.options;
	struct shmsem_request request = {.name = server->turn.name,
		.scale = options->scale,
		.channels = options->channels,
		.layout = options->layout,
		.flags = options->flags,
		.fit_width = options->fit_width,
		.fit_height = options->fit_height};
	struct shmsem_answer answer = {.server = server};
	struct shmsem_error error = {0};
	struct error err = {0};
	int status = server->options.make(server->options.data, &request, &answer, &error);

	if (status)
		status = error_take(&err, &error, status);
	else if (!answer.info.width)
		status = error_set(&err, STATUS_INTERNAL, "the program made no image");
	if (status) {
		if (answer.placed)
			forget(server, answer.placed);
		refuse(server, &err);
		return;
	}
	if (answer.placed) {
		answer.placed->next = server->placed;
		server->placed = answer.placed;
	}
	answer_image(server, &answer);
}

/* ---- names ---- */

int shmsem_add_name(struct shmsem_answer *answer, const char *name, struct shmsem_error *error)
{
	char *copy;

	if (!answer->listing || !name || !name[0] || strlen(name) > WIRE_NAME_MAX)
		return shmsem_fail(error, SHMSEM_USAGE,
			"a name has 1 to %d bytes, and belongs into the callback 'names'",
			WIRE_NAME_MAX);
	if (answer->names_count == answer->names_room) {
		size_t room = answer->names_room ? 2 * answer->names_room : 64;
		char **grown = realloc(answer->names, room * sizeof *grown);

		if (!grown)
			return shmsem_fail(error, SHMSEM_TRY_AGAIN, "no memory for another name");
		answer->names = grown;
		answer->names_room = room;
	}
	copy = strdup(name);
	if (!copy)
		return shmsem_fail(error, SHMSEM_TRY_AGAIN, "no memory for another name");
	answer->names[answer->names_count++] = copy;
	return SHMSEM_OK;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Puts the names in order into one block, each once. */
static bool join_names(const struct shmsem_answer *answer, char **ret, size_t *ret_size)
{
	size_t size = 0;
	char *all;

	qsort(answer->names, answer->names_count, sizeof *answer->names, compare_names);
	for (size_t i = 0; i < answer->names_count; i++)
		size += strlen(answer->names[i]) + 1;
	all = malloc(size + 1);
	if (!all)
		return false;
	size = 0;
	for (size_t i = 0; i < answer->names_count; i++) {
		if (i && !strcmp(answer->names[i], answer->names[i - 1]))
			continue;
		strcpy(all + size, answer->names[i]);
		size += strlen(answer->names[i]) + 1;
	}
	*ret = all;
	*ret_size = size;
	return true;
}

static int list_names(struct shmsem_server *server, struct error *err)
{
	struct shmsem_answer answer = {.server = server, .listing = true};
	struct shmsem_error error = {0};
	int status = STATUS_OK;

	free(server->names);
	server->names = NULL;
	server->names_size = 0;
	if (server->options.names)
		status = server->options.names(server->options.data, &answer, &error);
	if (status)
		status = error_take(err, &error, status);
	else if (answer.names_count && !join_names(&answer, &server->names, &server->names_size))
		status = error_os(err, ENOMEM, "no memory for the names");
	for (size_t i = 0; i < answer.names_count; i++)
		free(answer.names[i]);
	free(answer.names);
	return status;
}

/* A listing begins with the empty name, and is then handed out as it was at that moment. */
static void serve_names(struct shmsem_server *server)
{
	char text[WIRE_TEXT_SIZE];
	struct error err = {0};
	int status = STATUS_OK;

	if (!server->turn.name[0] || !server->names)
		status = list_names(server, &err);
	if (status)
		refuse(server, &err);
	else
		answer_text(server, text,
			turn_names(server->names, server->names_size, server->turn.name, text));
}

/* ---- running ---- */

static bool look(void *context, bool everywhere)
{
	struct shmsem_server *server = context;
	const struct head *head = &server->objects.head;
	unsigned looks = everywhere ? head->seats : 1;

	/* The seat that was served last comes last. */
	for (unsigned i = head->seats - looks + 1; i <= head->seats; i++) {
		unsigned seat = (server->turn.seat + i) % head->seats;
		uint64_t sequence;

		if (turn_requested(head, seat, &sequence)) {
			turn_read(head, seat, sequence, &server->turn);
			return true;
		}
	}
	return false;
}

static void serve(struct shmsem_server *server)
{
	struct error err = {0};

	atomic_fetch_add(
		&head_seat_counters(&server->objects.head, server->turn.seat)->requests, 1);
	if (turn_check(&server->turn, &err)) {
		refuse(server, &err);
		return;
	}
	switch ((enum wire_operation)server->turn.request.operation) {
	case WIRE_PING:
		answer_text(server, "", 0);
		break;
	case WIRE_GET:
	case WIRE_INFO:
		serve_image(server);
		break;
	case WIRE_NAMES:
		serve_names(server);
		break;
	}
}

static int check_objects(struct shmsem_server *server, struct error *err)
{
	uint64_t now = clock_now();

	if (publication_damaged(&server->objects))
		return error_set(err, STATUS_UNAVAILABLE, "somebody cut a shared object off");
	if (now < server->next_check)
		return STATUS_OK;
	server->next_check = now + CHECK_NS;
	return publication_check(&server->objects, err);
}

int shmsem_server_run(struct shmsem_server *server, uint64_t timeout_ns, struct shmsem_error *error)
{
	uint64_t deadline = deadline_after(timeout_ns);
	struct error err = {0};
	int status = STATUS_OK;

	if (server->owner != process_id())
		return shmsem_fail(error, SHMSEM_USAGE,
			"this server was made before fork(); only the parent can run it");
	while (!status && !atomic_exchange(&server->stopping, false)) {
		bool found = timeout_ns ? turn_await(&server->wait, &server->stopping, deadline,
						  look, server)
					: look(server, true);

		if (found)
			serve(server);
		status = check_objects(server, &err);
		if (clock_now() >= deadline && (timeout_ns || !found))
			break;
	}
	return error_give(error, &err, status);
}

void shmsem_server_stop(struct shmsem_server *server)
{
	atomic_store(&server->stopping, true);
	semaphore_post(server->objects.request);
}

/* ---- life ---- */

static int create(struct shmsem_server *server, struct error *err)
{
	struct shmsem_serve_options *options = &server->options;
	struct publication_options objects = {.seats = options->seats,
		.segments = 1,
		.map_data = true,
		.access = {.mode = options->mode, .group = (gid_t)-1}};
	int status;

	if (!options->make)
		return error_set(err, STATUS_USAGE, "a server needs a callback 'make'");
	if (options->seats > WIRE_SEATS_MAX)
		return error_set(err, STATUS_USAGE, "a server has %d seats at the most, not %u",
			WIRE_SEATS_MAX, options->seats);
	if ((options->mode & 0600) != 0600 || options->mode > 0777)
		return error_set(err, STATUS_USAGE, "the mode %o is not possible", options->mode);
	status = namespace_parse(options->name_space, &objects.space, err);
	if (!status && options->flags & SHMSEM_GUARD_SIGBUS)
		status = guard_install(err);
	if (status)
		return status;
	if (!size_align(options->memory, PLACE_PAGE, &options->memory) ||
		!place_init(&server->place, options->memory))
		return error_os(err, ENOMEM, "cannot serve");
	objects.reserve = options->memory;
	return publication_create(&server->objects, &objects, err);
}

int shmsem_serve(struct shmsem_server **ret, const struct shmsem_serve_options *options,
	struct shmsem_error *error)
{
	struct shmsem_server *server = calloc(1, sizeof *server);
	struct error err = {0};
	int status;

	if (!server)
		return error_give(error, &err, error_os(&err, ENOMEM, "cannot serve"));
	server->options = *options;
	server->owner = process_id();
	server->next_number = 1;
	server->objects = PUBLICATION_NONE;
	spin_init(&server->wait.spin, SPIN_BUDGET_NS);
	if (!server->options.seats)
		server->options.seats = SEATS_DEFAULT;
	if (!server->options.mode)
		server->options.mode = 0600;
	if (!server->options.memory)
		server->options.memory = publication_default_reserve();
	status = create(server, &err);
	if (status) {
		shmsem_server_close(server);
		return error_give(error, &err, status);
	}
	server->wait.request = server->objects.request;
	publication_ready(&server->objects);
	*ret = server;
	return SHMSEM_OK;
}

static void refuse_all(struct shmsem_server *server)
{
	struct error stopping;

	error_set(&stopping, STATUS_UNAVAILABLE, "the server is stopping");
	while (look(server, true))
		refuse(server, &stopping);
}

void shmsem_server_close(struct shmsem_server *server)
{
	if (!server)
		return;
	if (server->owner == process_id()) {
		if (server->objects.request)
			refuse_all(server);
		publication_withdraw(&server->objects);
	} else {
		/* Not mapped in a child, where something else may be by now. */
		publication_disown(&server->objects);
	}
	publication_release(&server->objects);
	for (struct placed *placed = server->placed, *next; placed; placed = next) {
		next = placed->next;
		free(placed);
	}
	place_release(&server->place);
	free(server->names);
	free(server);
}
