/* What logind will do with a user's objects, by trees of files made for it. */
#include "test.h"

#include "cli/logind.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[64];

/* Makes a file below the root with that text, and the folders above it. */
static void put(const char *path, const char *text)
{
	char whole[512];
	FILE *file;

	snprintf(whole, sizeof whole, "%s%s", root, path);
	for (char *slash = whole + strlen(root) + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		mkdir(whole, 0700);
		*slash = '/';
	}
	file = fopen(whole, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static int make_tree(void **state)
{
	(void)state;
	strcpy(root, "/tmp/shmsem-logind.XXXXXX");
	assert_non_null(mkdtemp(root));
	put("/run/systemd/system/x", "");
	put("/run/systemd/users/1000", "");
	return 0;
}

static int remove_tree(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof command, "rm -r '%s'", root);
	return system(command);
}

static enum logind_removal of(uid_t uid)
{
	return logind_removal(root, uid, "ann");
}

static void a_logged_in_user_loses_objects_unless_told_otherwise(void **state)
{
	(void)state;
	assert_int_equal(of(1000), LOGIND_LOGGED_IN);
	assert_int_equal(of(1001), LOGIND_AWAY);
}

static void root_and_system_users_are_spared(void **state)
{
	(void)state;
	assert_int_equal(of(0), LOGIND_KEEPS);
	assert_int_equal(of(999), LOGIND_KEEPS);
}

static void a_system_without_logind_removes_nothing(void **state)
{
	(void)state;
	assert_int_equal(logind_removal("/nowhere", 1000, "ann"), LOGIND_KEEPS);
}

static void a_lingering_user_is_never_logged_out(void **state)
{
	(void)state;
	put("/var/lib/systemd/linger/ann", "");
	assert_int_equal(of(1000), LOGIND_KEEPS);
}

static void the_file_says_it_in_its_section_only(void **state)
{
	(void)state;
	put("/etc/systemd/logind.conf", "[Other]\nRemoveIPC=no\n[Login]\n#RemoveIPC=no\n");
	assert_int_equal(of(1000), LOGIND_LOGGED_IN);
	put("/etc/systemd/logind.conf", "[Login]\n  RemoveIPC = off  \n");
	assert_int_equal(of(1000), LOGIND_KEEPS);
	put("/etc/systemd/logind.conf", "[Login]\nRemoveIPC=no\nRemoveIPC=perhaps\n");
	assert_int_equal(of(1000), LOGIND_KEEPS);
}

static void the_vendor_file_counts_only_where_the_administrator_has_none(void **state)
{
	(void)state;
	put("/usr/lib/systemd/logind.conf", "[Login]\nRemoveIPC=no\n");
	assert_int_equal(of(1000), LOGIND_KEEPS);
	put("/etc/systemd/logind.conf", "[Login]\n");
	assert_int_equal(of(1000), LOGIND_LOGGED_IN);
}

static void the_last_drop_in_by_name_wins(void **state)
{
	(void)state;
	put("/etc/systemd/logind.conf", "[Login]\nRemoveIPC=yes\n");
	put("/usr/lib/systemd/logind.conf.d/50-b.conf", "[Login]\nRemoveIPC=no\n");
	assert_int_equal(of(1000), LOGIND_KEEPS);
	put("/etc/systemd/logind.conf.d/10-a.conf", "[Login]\nRemoveIPC=yes\n");
	put("/etc/systemd/logind.conf.d/90-c.ignored", "[Login]\nRemoveIPC=yes\n");
	assert_int_equal(of(1000), LOGIND_KEEPS);
	put("/run/systemd/logind.conf.d/60-d.conf", "[Login]\nRemoveIPC=yes\n");
	assert_int_equal(of(1000), LOGIND_LOGGED_IN);
}

static void a_drop_in_hides_its_namesake_of_a_lesser_folder(void **state)
{
	(void)state;
	put("/usr/lib/systemd/logind.conf.d/50-b.conf", "[Login]\nRemoveIPC=no\n");
	put("/etc/systemd/logind.conf.d/50-b.conf", "");
	assert_int_equal(of(1000), LOGIND_LOGGED_IN);
}

#define EACH(test) cmocka_unit_test_setup_teardown(test, make_tree, remove_tree)

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(a_logged_in_user_loses_objects_unless_told_otherwise),
		EACH(root_and_system_users_are_spared),
		EACH(a_system_without_logind_removes_nothing),
		EACH(a_lingering_user_is_never_logged_out),
		EACH(the_file_says_it_in_its_section_only),
		EACH(the_vendor_file_counts_only_where_the_administrator_has_none),
		EACH(the_last_drop_in_by_name_wins),
		EACH(a_drop_in_hides_its_namesake_of_a_lesser_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
