/* Which images fetch asks for: names, patterns, and draws from them. */
#include "cli/fetch.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static int no_memory(struct error *err)
{
	return error_os(err, ENOMEM, "cannot keep the names");
}

/* Room doubles: whenever the count is a power of two, all is in use. */
static bool add_name(struct fetch_names *names, const char *name)
{
	char *copy = strdup(name);

	if (copy && !(names->count & (names->count - 1))) {
		size_t room = names->count ? 2 * names->count : 1;
		char **more = reallocarray(names->names, room, sizeof *more);

		if (!more) {
			free(copy);
			return false;
		}
		names->names = more;
	}
	if (copy)
		names->names[names->count++] = copy;
	return copy;
}

void fetch_names_release(struct fetch_names *names)
{
	for (size_t i = 0; i < names->count; i++)
		free(names->names[i]);
	free(names->names);
	*names = (struct fetch_names){0};
}

struct listing {
	struct fetch_names names;
	bool full;
};

static int list_one(void *data, const char *name)
{
	struct listing *listing = data;

	listing->full = !add_name(&listing->names, name);
	return listing->full;
}

int fetch_names_all(struct shmsem *client, struct fetch_names *ret, struct error *err)
{
	struct listing listing = {0};
	struct shmsem_error error;
	int status = shmsem_names(client, list_one, &listing, &error);

	if (status)
		error_set(err, status, "%s", error.message);
	else if (listing.full)
		status = no_memory(err);
	if (status)
		fetch_names_release(&listing.names);
	else
		*ret = listing.names;
	return status;
}

static bool is_glob(const char *word)
{
	return strpbrk(word, "*?[") != NULL;
}

bool fetch_has_globs(char **words, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (is_glob(words[i]))
			return true;
	return false;
}

/* A file may really be called "a[1].png": a name that is there as it stands is no pattern. */
static bool is_there(const struct fetch_names *all, const char *word)
{
	for (size_t i = 0; i < all->count; i++)
		if (!strcmp(all->names[i], word))
			return true;
	return false;
}

static int no_match(const char *word, const struct fetch_names *all, struct error *err)
{
	bool inside = false; /* it matches folders, or shards */
	bool below = false;  /* it is for the top, and there are some one folder down */
	char shown[256];

	for (size_t i = 0; i < all->count; i++) {
		inside |= fnmatch(word, all->names[i],
				  FNM_PATHNAME | FNM_PERIOD | FNM_LEADING_DIR) == 0;
		below |= !strchr(word, '/') &&
			 fnmatch("*/*", all->names[i], FNM_PATHNAME | FNM_PERIOD) == 0;
	}
	text_escape(word, strlen(word), shown, sizeof shown);
	if (inside)
		return error_set(err, STATUS_NOT_FOUND,
			"the server has no image that matches '%s'; '%s/*' has those in there",
			shown, shown);
	return error_set(err, STATUS_NOT_FOUND, "the server has no image that matches '%s'%s",
		shown, below ? "; '*/*' has those one folder down" : "");
}

static int add_matches(struct fetch_names *names, const char *word, const struct fetch_names *all,
	struct error *err)
{
	size_t before = names->count;

	for (size_t i = 0; i < all->count; i++)
		if (fnmatch(word, all->names[i], FNM_PATHNAME | FNM_PERIOD) == 0 &&
			!add_name(names, all->names[i]))
			return no_memory(err);
	return names->count == before ? no_match(word, all, err) : STATUS_OK;
}

int fetch_names_match(char **words, size_t count, const struct fetch_names *all, bool strictly,
	struct fetch_names *ret, struct error *err)
{
	struct fetch_names names = {0};
	int status = STATUS_OK;

	for (size_t i = 0; i < count && !status; i++) {
		if (all && (strictly || (is_glob(words[i]) && !is_there(all, words[i]))))
			status = add_matches(&names, words[i], all, err);
		else if (!add_name(&names, words[i]))
			status = no_memory(err);
	}
	if (status)
		fetch_names_release(&names);
	else
		*ret = names;
	return status;
}

static int draw_init(struct fetch_draw *ret, uint64_t count, struct error *err)
{
	ret->wanted = count <= SIZE_MAX ? calloc(count ? count : 1, sizeof *ret->wanted) : NULL;
	if (!ret->wanted)
		return no_memory(err);
	ret->count = count;
	return STATUS_OK;
}

int fetch_draw_all(size_t names, uint64_t rounds, struct fetch_draw *ret, struct error *err)
{
	uint64_t count;
	int status = __builtin_mul_overflow(rounds, names, &count) ? no_memory(err)
								   : draw_init(ret, count, err);

	for (size_t i = 0; !status && i < ret->count; i++)
		ret->wanted[i] = i % names;
	return status;
}

/* splitmix64, a generator whose whole state is one number: the seed. */
static uint64_t next_random(uint64_t *state)
{
	uint64_t mixed = *state += 0x9e3779b97f4a7c15;

	mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9;
	mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111eb;
	return mixed ^ mixed >> 31;
}

int fetch_draw_random(size_t names, uint64_t draws, const uint64_t *seed, struct fetch_draw *ret,
	struct error *err)
{
	uint64_t state;
	int status;

	if (seed)
		state = *seed;
	else if (getrandom(&state, sizeof state, 0) != sizeof state)
		return error_os(err, errno, "cannot draw at random");
	status = draw_init(ret, draws, err);
	for (size_t i = 0; !status && i < ret->count; i++)
		ret->wanted[i] = (size_t)(next_random(&state) % names);
	return status;
}

void fetch_draw_release(struct fetch_draw *draw)
{
	free(draw->wanted);
	*draw = (struct fetch_draw){0};
}
