/* libshmsem: images that the responder keeps under names, for requesters to find without asking. */
#include "base/hash.h"
#include "client/error.h"
#include "client/responder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct kept **bucket_of(const struct shmsem_server *server, const char *name)
{
	return &server->kept[hash_keyed(name, strlen(name)) % server->options.kept];
}

/* The link that leads to what is kept under the name, or to NULL. */
static struct kept **find(const struct shmsem_server *server, const char *name)
{
	struct kept **at = bucket_of(server, name);

	while (*at && strcmp((*at)->name, name) != 0)
		at = &(*at)->next;
	return at;
}

const struct kept *responder_kept(const struct shmsem_server *server, const char *name)
{
	return server->options.kept ? *find(server, name) : NULL;
}

/* The entries of the index by which the image as it is can be asked for: with no channels in
 * particular, and with those that it has. */
static void find_keys(const char *name, const struct shmsem_info *info, struct index_key ret[2])
{
	ret[0] = ret[1] = (struct index_key){.name = name, .length = strlen(name)};
	ret[1].options.image.channels = info->channels;
}

/* The name's image is that of `made` from now on, or none if it is NULL. */
static void announce(
	struct shmsem_server *server, const struct kept *kept, const struct shmsem_answer *made)
{
	struct index *index = &server->objects.index;
	struct index_answer found = {0};
	struct index_key keys[2];

	index_begin(index);
	find_keys(kept->name, &kept->info, keys);
	for (int i = 0; i < 2; i++)
		index_remove(index, &keys[i]);
	/* A warning has no room in the index; the server is asked for it, as for what finds no
	 * place. */
	if (made && !made->info.warning[0]) {
		responder_image_answer(made, &found.answer, found.words);
		found.answer.flags |= WIRE_FROM_STORE;
		find_keys(kept->name, &made->info, keys);
		for (int i = 0; i < 2; i++)
			index_put(index, &keys[i], &found);
	}
	index_end(index);
}

static int publish(struct shmsem_server *server, const char *name, struct error *err)
{
	struct kept **at, *kept;
	size_t length = name ? strlen(name) : 0;

	if (!length || length > WIRE_NAME_MAX)
		return error_set(err, STATUS_USAGE, "a name has 1 to %d bytes", WIRE_NAME_MAX);
	if (!server->prepared.placed)
		return error_set(err, STATUS_USAGE, "nothing was prepared to be published");
	at = find(server, name);
	kept = *at;
	if (!kept) {
		if (server->kept_count == server->options.kept)
			return error_set(err, STATUS_TRY_AGAIN, "%zu names are kept already",
				server->kept_count);
		kept = calloc(1, sizeof *kept + length + 1);
		if (!kept)
			return error_os(err, ENOMEM, "no memory for another name");
		strcpy(kept->name, name);
		*at = kept;
		server->kept_count++;
	}
	announce(server, kept, &server->prepared);
	/* What was there may be held. */
	if (kept->placed)
		responder_leave(server, kept->placed);
	kept->placed = server->prepared.placed;
	kept->info = server->prepared.info;
	server->prepared = (struct shmsem_answer){.server = server};
	return STATUS_OK;
}

/* Takes the lock if the server keeps names. */
static int lock_keeps(struct shmsem_server *server, struct error *err)
{
	if (!responder_is_ours(server, err))
		return STATUS_USAGE;
	if (!server->options.kept)
		return error_set(err, STATUS_USAGE, "this server keeps no names");
	pthread_mutex_lock(&server->lock);
	return STATUS_OK;
}

int shmsem_prepare(struct shmsem_server *server, const struct shmsem_info *info, void **ret_pixels,
	void **ret_icc, struct shmsem_error *error)
{
	struct error err = {0};
	int status = lock_keeps(server, &err);

	if (status)
		return error_export(error, &err, status);
	if (server->prepared.placed)
		responder_forget(server, server->prepared.placed);
	server->prepared = (struct shmsem_answer){.server = server};
	status = responder_place(&server->prepared, info, ret_pixels, ret_icc, &err);
	pthread_mutex_unlock(&server->lock);
	return error_export(error, &err, status);
}

int shmsem_publish(struct shmsem_server *server, const char *name, struct shmsem_error *error)
{
	struct error err = {0};
	int status = lock_keeps(server, &err);

	if (status)
		return error_export(error, &err, status);
	status = publish(server, name, &err);
	pthread_mutex_unlock(&server->lock);
	return error_export(error, &err, status);
}

/* No longer keeps what the link leads to. */
static void withdraw(struct shmsem_server *server, struct kept **at)
{
	struct kept *kept = *at;

	announce(server, kept, NULL);
	*at = kept->next;
	server->kept_count--;
	responder_leave(server, kept->placed);
	free(kept);
}

void shmsem_withdraw(struct shmsem_server *server, const char *name)
{
	struct kept **at;

	if (lock_keeps(server, NULL))
		return;
	at = find(server, name);
	if (*at)
		withdraw(server, at);
	pthread_mutex_unlock(&server->lock);
}

void responder_kept_release(struct shmsem_server *server)
{
	for (size_t i = 0; server->kept && i < server->options.kept; i++)
		for (struct kept *kept = server->kept[i], *next; kept; kept = next) {
			next = kept->next;
			free(kept->placed);
			free(kept);
		}
	free(server->prepared.placed);
	free(server->kept);
}
