#include "exchange/server_user.h"

#include "base/cleanup.h"
#include "base/number.h"
#include "base/text.h"

#include <errno.h>
#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ENTRY_SIZE (64 << 10) /* of a user, with all its texts */

/* One of the two look-ups, whichever has its key; NULL if there is no such user. */
static const struct passwd *look_up(
	const char *name, uid_t uid, struct passwd *entry, char *texts, size_t size)
{
	struct passwd *found = NULL;

	if (name)
		getpwnam_r(name, entry, texts, size, &found);
	else
		getpwuid_r(uid, entry, texts, size, &found);
	return found;
}

int server_user_parse(
	const char *text, const char *what, struct server_user *ret, struct error *err)
{
	AUTO_FREE char *texts = NULL;
	char shown[4 * 40 + 1];
	const struct passwd *user;
	struct passwd entry;
	uint64_t uid;

	if (!strcmp(text, "any")) {
		*ret = SERVER_USER_ANY;
		return STATUS_OK;
	}
	/* (uid_t)-1 is nobody's. */
	if (!parse_number(text, what, 0, (uid_t)-1 - UINT64_C(1), &uid, NULL)) {
		*ret = (struct server_user){.uid = (uid_t)uid};
		return STATUS_OK;
	}
	texts = malloc(ENTRY_SIZE);
	if (!texts)
		return error_os(err, ENOMEM, "cannot look up a user");
	user = look_up(text, 0, &entry, texts, ENTRY_SIZE);
	if (!user)
		return error_set(err, STATUS_USAGE, "%sthere is no user '%s'", what,
			text_escape(text, strlen(text), shown, sizeof shown));
	*ret = (struct server_user){.uid = user->pw_uid};
	return STATUS_OK;
}

int server_user_default(struct server_user *ret, struct error *err)
{
	/* Who runs a program with more rights than one's own does not say whom it trusts. */
	const char *text = secure_getenv(SERVER_USER_VARIABLE);
	int status;

	*ret = SERVER_USER_OWN;
	if (!text || !text[0])
		return STATUS_OK;
	status = server_user_parse(text, "$" SERVER_USER_VARIABLE ": ", ret, err);
	ret->own = true;
	return status;
}

bool server_user_accepts(const struct server_user *user, uid_t owner)
{
	return user->any || owner == user->uid || (user->own && (owner == geteuid() || owner == 0));
}

/* "user mallory (uid 1001)"; *ret_name is what an option takes: "mallory". */
static void describe(uid_t uid, char text[USER_TEXT_SIZE], char name[USER_TEXT_SIZE / 2])
{
	AUTO_FREE char *texts = malloc(ENTRY_SIZE);
	struct passwd entry;
	const struct passwd *user = texts ? look_up(NULL, uid, &entry, texts, ENTRY_SIZE) : NULL;

	if (user && text_is_plain(user->pw_name, strlen(user->pw_name)) &&
		strlen(user->pw_name) < USER_TEXT_SIZE / 2) {
		snprintf(name, USER_TEXT_SIZE / 2, "%s", user->pw_name);
		snprintf(text, USER_TEXT_SIZE, "user %s (uid %u)", name, (unsigned)uid);
	} else {
		snprintf(name, USER_TEXT_SIZE / 2, "%u", (unsigned)uid);
		snprintf(text, USER_TEXT_SIZE, "uid %u", (unsigned)uid);
	}
}

int server_user_refuse(const struct server_user *user, const struct name_space *space, uid_t owner,
	struct error *err)
{
	char is[USER_TEXT_SIZE], name[USER_TEXT_SIZE / 2];
	char wanted[USER_TEXT_SIZE] = "you or root", unused[USER_TEXT_SIZE / 2];

	describe(owner, is, name);
	if (!user->own)
		describe(user->uid, wanted, unused);
	return error_set(err, STATUS_NOT_PERMITTED,
		"the server of namespace '%s' runs as %s, not as %s; --server-user %s "
		"or " SERVER_USER_VARIABLE "=%s accepts it",
		space->text, is, wanted, name, name);
}

int server_user_shut_out(const struct name_space *space, uid_t owner, struct error *err)
{
	char is[USER_TEXT_SIZE], unused[USER_TEXT_SIZE / 2];

	describe(owner, is, unused);
	return error_set_os(err, STATUS_NOT_PERMITTED, EACCES,
		"the server of namespace '%s' runs as %s and does not admit this one; "
		"with --mode 0660 --group GROUP it admits a group",
		space->text, is);
}
