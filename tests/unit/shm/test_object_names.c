/* Names of objects, and what they lead back to. */
#include "test.h"

#include "shm/names.h"

#include <stdio.h>
#include <string.h>

static void names_and_files_lead_back_to_what_made_them(void **state)
{
	static const char *const spaces[] = {
		"a", "shmsem", "a_b", "x_DATA", "_REQ", "SEM_x_RES", "..", "-", "9"};
	static const enum object_kind kinds[] = {
		OBJECT_REQUEST, OBJECT_RESPONSE, OBJECT_HEAD, OBJECT_DATA, OBJECT_INDEX};
	static const unsigned indexes[] = {0, 1, 7, 10, 1023, 999999999};

	(void)state;
	for (size_t s = 0; s < sizeof spaces / sizeof *spaces; s++)
		for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
			for (size_t i = 0; i < sizeof indexes / sizeof *indexes; i++) {
				bool numbered = kinds[k] == OBJECT_RESPONSE ||
						kinds[k] == OBJECT_DATA;
				struct name_space space, back;
				char file[OBJECT_FILE_SIZE];
				enum object_kind kind;
				unsigned index;

				assert_int_equal(namespace_parse(spaces[s], &space, NULL), 0);
				object_file(&space, kinds[k], indexes[i], file);
				assert_true(object_file_parse(file, &back, &kind, &index));
				assert_string_equal(back.text, space.text);
				assert_int_equal(kind, kinds[k]);
				assert_int_equal(index, numbered ? indexes[i] : 0);
			}
}

static void the_documented_names_are_made(void **state)
{
	struct name_space space = {"ns"};
	char name[OBJECT_NAME_SIZE];

	(void)state;
	assert_string_equal(object_name(&space, OBJECT_REQUEST, 0, name), "/SEM_ns_REQ");
	assert_string_equal(object_name(&space, OBJECT_RESPONSE, 0, name), "/SEM_ns_RES");
	assert_string_equal(object_name(&space, OBJECT_RESPONSE, 3, name), "/SEM_ns:3_RES");
	assert_string_equal(object_name(&space, OBJECT_HEAD, 0, name), "/SEG_ns_HEAD");
	assert_string_equal(object_name(&space, OBJECT_DATA, 0, name), "/SEG_ns_DATA");
	assert_string_equal(object_name(&space, OBJECT_DATA, 12, name), "/SEG_ns:12_DATA");
	assert_string_equal(object_name(&space, OBJECT_INDEX, 0, name), "/SEG_ns_INDEX");
}

static void files_of_others_are_not_taken_for_ours(void **state)
{
	static const char *const files[] = {"", "x", "SEG_", "SEG__HEAD", "SEG_HEAD",
		"sem.SEG_x_HEAD", "SEM_x_REQ", "sem.SEM_x:0_RES", "sem.SEM_x:01_RES",
		"sem.SEM_x:_RES", "sem.SEM_x:1_REQ", "SEG_x:1_HEAD", "SEG_x:-1_DATA",
		"SEG_x:1x_DATA", "SEG_x:1:2_DATA", "SEG_x:9999999999_DATA", "SEG_a b_HEAD",
		"SEG_:1_DATA", "seg_x_HEAD", "SEG_x_HEAD2"};
	char file[OBJECT_FILE_SIZE * 2];
	struct name_space space;
	enum object_kind kind;
	unsigned index;

	(void)state;
	for (size_t i = 0; i < sizeof files / sizeof *files; i++)
		assert_false(object_file_parse(files[i], &space, &kind, &index));
	memset(file, 0, sizeof file);
	memcpy(file, "SEG_", 4);
	memset(file + 4, 'x', NAMESPACE_MAX + 1);
	strcat(file, "_HEAD");
	assert_false(object_file_parse(file, &space, &kind, &index));
}

static void namespaces_that_cannot_be_are_refused_and_shown_escaped(void **state)
{
	static const char *const bad[] = {
		"", "a b", "a:b", "a\n", "\x1b[31m", "\xff", "ü", "a\\b", "*"};
	char longest[NAMESPACE_MAX + 2];
	struct name_space space;
	struct error err;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_int_equal(namespace_parse(bad[i], &space, &err), STATUS_USAGE);
		assert_null(strchr(err.text, '\n'));
		assert_null(strchr(err.text, '\x1b'));
		assert_null(strchr(err.text, '\xff'));
	}
	memset(longest, 'a', sizeof longest);
	longest[NAMESPACE_MAX + 1] = '\0';
	assert_int_equal(namespace_parse(longest, &space, &err), STATUS_USAGE);
	longest[NAMESPACE_MAX] = '\0';
	assert_int_equal(namespace_parse(longest, &space, &err), STATUS_OK);
	assert_int_equal(namespace_parse("a/b/../c", &space, &err), STATUS_OK);
	assert_string_equal(space.text, "a_b_.._c");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_and_files_lead_back_to_what_made_them),
		cmocka_unit_test(the_documented_names_are_made),
		cmocka_unit_test(files_of_others_are_not_taken_for_ours),
		cmocka_unit_test(namespaces_that_cannot_be_are_refused_and_shown_escaped),
	};

	return cmocka_run_group_tests_name("object_names", tests, NULL, NULL);
}
