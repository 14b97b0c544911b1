/* Errors, numbers, text, lists, the number of the process. */
#include "test.h"

#include "base/clock.h"
#include "base/equal.h"
#include "base/error.h"
#include "base/grow.h"
#include "base/hash.h"
#include "base/hash_table.h"
#include "base/number.h"
#include "base/process.h"
#include "base/text.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* The values are those of its authors. */
static void a_hash_with_a_key_is_siphash(void **state)
{
	const uint64_t key[2] = {UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)};
	uint8_t bytes[15];

	(void)state;
	for (uint8_t i = 0; i < sizeof bytes; i++)
		bytes[i] = i;
	assert_true(hash_with_key(key, bytes, 0) == UINT64_C(0x726fdb47dd0e0e31));
	assert_true(hash_with_key(key, bytes, 8) == UINT64_C(0x93f5f5799a932462));
	assert_true(hash_with_key(key, bytes, 15) == UINT64_C(0xa129ca6149be45e5));
}

static void words_and_what_follows_are_hashed_as_one(void **state)
{
	const uint64_t words[] = {1, UINT64_MAX / 3};
	const char name[] = "name";
	uint8_t joined[sizeof words + sizeof name];

	(void)state;
	memcpy(joined, words, sizeof words);
	memcpy(joined + sizeof words, name, sizeof name);
	assert_true(
		hash_keyed_after(words, 2, name, sizeof name) == hash_keyed(joined, sizeof joined));
}

/* More than a table has buckets at first, three to a hash. */
static void a_hash_table_finds_all_that_have_a_hash(void **state)
{
	static struct hash_table_link links[3000];
	struct hash_table table = {0};

	(void)state;
	assert_null(hash_table_first(&table, 7));
	for (size_t i = 0; i < 3000; i++)
		hash_table_add(&table, &links[i], i % 1000 << 4);
	/* Of three the one in the middle is taken out. */
	for (size_t i = 1000; i < 2000; i++)
		hash_table_remove(&table, &links[i]);
	assert_int_equal(table.count, 2000);
	for (size_t i = 0; i < 1000; i++) {
		struct hash_table_link *one = hash_table_first(&table, i << 4);
		struct hash_table_link *other = hash_table_next(one);

		assert_ptr_equal(one < other ? one : other, &links[i]);
		assert_ptr_equal(one < other ? other : one, &links[i + 2000]);
		assert_null(hash_table_next(other));
		assert_null(hash_table_first(&table, (i << 4) + 1));
	}
	hash_table_release(&table);
	assert_null(hash_table_first(&table, 0));
}

/* A child that draws a key of its own, as this process has none yet, is another process. */
static void no_two_processes_hash_alike(void **state)
{
	uint64_t theirs = 0;
	int pair[2];
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(pair), 0);
	pid = fork();
	if (pid == 0) {
		theirs = hash_keyed("name", 4);
		_exit(write(pair[1], &theirs, sizeof theirs) != sizeof theirs);
	}
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(read(pair[0], &theirs, sizeof theirs), sizeof theirs);
	assert_true(theirs != hash_keyed("name", 4));
	assert_true(hash_keyed("name", 4) == hash_keyed("name", 4));
	close(pair[0]);
	close(pair[1]);
}

static void errors_carry_status_and_sentence(void **state)
{
	struct error err = {0};

	(void)state;
	assert_int_equal(error_set(&err, STATUS_BAD_DATA, "%s is bad", "it"), STATUS_BAD_DATA);
	assert_string_equal(err.text, "it is bad");
	assert_int_equal(error_prefix(&err, err.status, "apple"), STATUS_BAD_DATA);
	assert_string_equal(err.text, "apple: it is bad");
	assert_int_equal(error_os(&err, EACCES, "cannot open '%s'", "x"), STATUS_NOT_PERMITTED);
	assert_string_equal(err.text, "cannot open 'x': Permission denied");
	assert_int_equal(err.os_error, EACCES);
	assert_int_equal(error_os(&err, ENAMETOOLONG, "no"), STATUS_NOT_FOUND);
	assert_int_equal(error_os(&err, ELOOP, "no"), STATUS_NOT_FOUND);
	assert_int_equal(error_os(&err, ENOTCONN, "no"), STATUS_IO);
	assert_int_equal(error_os_as(&err, STATUS_IO, EPERM, "no"), STATUS_IO);
	assert_string_equal(err.text, "no: Operation not permitted");
	assert_int_equal(error_set_os(&err, STATUS_TRY_AGAIN, ENOSPC, "full"), STATUS_TRY_AGAIN);
	assert_string_equal(err.text, "full");
	assert_int_equal(err.os_error, ENOSPC);
}

/* What a caller does must not depend on whether it wants to know what happened. */
static void a_status_is_the_same_for_who_wants_no_message(void **state)
{
	const struct error from = {.status = STATUS_BAD_DATA};

	(void)state;
	assert_int_equal(error_set(NULL, STATUS_IO, "x"), STATUS_IO);
	assert_int_equal(error_set_os(NULL, STATUS_IO, ENOSPC, "x"), STATUS_IO);
	assert_int_equal(error_os(NULL, EACCES, "x"), STATUS_NOT_PERMITTED);
	assert_int_equal(error_os_as(NULL, STATUS_IO, EACCES, "x"), STATUS_IO);
	assert_int_equal(error_prefix(NULL, STATUS_BAD_DATA, "x"), STATUS_BAD_DATA);
	assert_int_equal(error_copy(NULL, &from), STATUS_BAD_DATA);
}

static void long_errors_are_cut(void **state)
{
	struct error err;
	char text[2 * ERROR_TEXT_SIZE];

	(void)state;
	memset(text, 'x', sizeof text);
	text[sizeof text - 1] = '\0';
	error_os(&err, ENOENT, "%s", text);
	assert_int_equal(strlen(err.text), ERROR_TEXT_SIZE - 1);
	error_prefix(&err, err.status, "y");
	assert_int_equal(strlen(err.text), ERROR_TEXT_SIZE - 1);
	assert_memory_equal(err.text, "y: xx", 5);
}

static void no_cut_error_ends_in_half_a_character(void **state)
{
	struct error err;
	char text[ERROR_TEXT_SIZE + 4];

	(void)state;
	for (size_t shift = 0; shift < 4; shift++) {
		memset(text, 'x', sizeof text);
		for (size_t at = shift; at + 4 < sizeof text; at += 4)
			memcpy(text + at, "\U0001f34e", 4);
		text[sizeof text - 4 + shift % 4] = '\0';
		error_set(&err, STATUS_BAD_DATA, "%s", text);
		assert_true(text_is_plain(err.text, strlen(err.text)));
		assert_in_range(strlen(err.text), ERROR_TEXT_SIZE - 4, ERROR_TEXT_SIZE - 1);
		error_prefix(&err, err.status, "é");
		assert_true(text_is_plain(err.text, strlen(err.text)));
	}
}

static void a_number_from_outside_is_an_error_only_if_a_call_can_fail_with_it(void **state)
{
	static const unsigned valid[] = {64, 65, 66, 69, 70, 74, 75, 77};
	size_t seen = 0;

	(void)state;
	for (unsigned status = 0; status < 300; status++)
		if (error_status_valid(status))
			assert_int_equal(status, valid[seen++]);
	assert_int_equal(seen, sizeof valid / sizeof valid[0]);
	assert_false(error_status_valid(UINT_MAX));
}

static void sizes_do_not_wrap(void **state)
{
	uint64_t value = 7;

	(void)state;
	assert_false(size_multiply(UINT64_MAX, 2, &value));
	assert_false(size_add(UINT64_MAX, 1, &value));
	assert_false(size_align(UINT64_MAX - 1, 4096, &value));
	assert_int_equal(value, 7);
	assert_true(size_align(4097, 4096, &value));
	assert_int_equal(value, 8192);
}

static void numbers_are_read_whole(void **state)
{
	static const char *const bad[] = {
		"", "x", "-1", "+1", " 1", "1 ", "11", "99999999999999999999"};
	uint64_t value;
	struct error err;

	(void)state;
	assert_int_equal(parse_number("10", "n", 1, 10, &value, &err), STATUS_OK);
	assert_int_equal(value, 10);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(parse_number(bad[i], "n", 1, 10, &value, &err), STATUS_USAGE);

	assert_int_equal(parse_size("64K", "s", &value, &err), STATUS_OK);
	assert_int_equal(value, 65536);
	assert_int_equal(parse_size("2GiB", "s", &value, &err), STATUS_OK);
	assert_int_equal(value, 2ULL << 30);
	assert_int_equal(parse_size("99999999T", "s", &value, &err), STATUS_USAGE);
	assert_int_equal(parse_size("1Q", "s", &value, &err), STATUS_USAGE);
	assert_int_equal(parse_size("K", "s", &value, &err), STATUS_USAGE);

	assert_int_equal(parse_duration("0.5", "t", &value, &err), STATUS_OK);
	assert_int_equal(value, 500 * NS_PER_MS);
	assert_int_equal(parse_duration("250ms", "t", &value, &err), STATUS_OK);
	assert_int_equal(value, 250 * NS_PER_MS);
	assert_int_equal(parse_duration("1 s", "t", &value, &err), STATUS_USAGE);
	assert_int_equal(parse_duration("nan", "t", &value, &err), STATUS_USAGE);
	assert_int_equal(parse_duration("1e30", "t", &value, &err), STATUS_USAGE);
}

static void numbers_are_written_for_people(void **state)
{
	char text[NUMBER_TEXT_SIZE];

	(void)state;
	assert_string_equal(format_number(UINT64_MAX, text), "18446744073709551615");
	assert_string_equal(format_size(927, text), "927B");
	assert_string_equal(format_size(1536, text), "1.5K");
	assert_string_equal(format_size(36 << 20, text), "36M");
	assert_string_equal(format_size(UINT64_MAX, text), "16E");
	assert_string_equal(format_size(0, text), "0B");
	assert_string_equal(format_size(1023, text), "1023B");
	assert_string_equal(format_size(1280 << 10, text), "1.3M");
	assert_string_equal(format_size((99 << 10) + 900, text), "99.9K");
	assert_string_equal(format_size((100 << 10) + 500, text), "100K");
	assert_string_equal(format_size((1023 << 10) + 900, text), "1024K");
	assert_string_equal(format_size((1 << 20) - 1, text), "1M");
	assert_string_equal(format_duration(9940000, text), "9.9ms");
	assert_string_equal(format_duration(9950000, text), "10ms");
	assert_string_equal(format_duration(UINT64_MAX, text), "213504d");
	assert_string_equal(format_number(0, text), "0");
	assert_string_equal(format_duration(870, text), "870ns");
	assert_string_equal(format_duration(3400000, text), "3.4ms");
	assert_string_equal(format_duration(7200 * NS_PER_SECOND, text), "2.0h");
}

static void text_is_escaped(void **state)
{
	char text[64];

	(void)state;
	assert_string_equal(text_escape("a\nb\\c\xff", 6, text, sizeof text), "a\\x0ab\\x5cc\\xff");
	assert_string_equal(text_escape("gr\xc3\xbcn", 5, text, sizeof text), "gr\xc3\xbcn");
	assert_string_equal(text_escape("abcdefgh", 8, text, 6), "ab...");
	assert_string_equal(text_escape("abcde", 5, text, 6), "abcde");
	assert_true(text_is_plain("apple", 5));
	assert_false(text_is_plain("ap\x1bple", 6));
	assert_false(text_is_plain("\xc0\xaf", 2));
}

static void the_process_id_is_right_in_children_too(void **state)
{
	int status;
	pid_t child;

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(process_id(), getpid());
	child = fork();
	if (!child)
		_exit(process_id() == getpid() && process_id() == getpid() ? 0 : 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(process_id(), getpid());
}

static void lists_keep_what_is_in_them_when_they_grow(void **state)
{
	size_t count = 0, room = 0, huge = SIZE_MAX / 8;
	uint64_t *items = NULL;

	(void)state;
	/* 16 MB, past the size from which huge pages are asked for. */
	for (; count < 2000000; count++) {
		items = grow(items, count, &room, sizeof *items);
		assert_non_null(items);
		assert_true(count < room);
		items[count] = count;
	}
	for (size_t i = 0; i < count; i++)
		assert_int_equal(items[i], i);
	assert_null(grow(items, huge, &huge, sizeof *items));
	assert_int_equal(items[count - 1], count - 1);
	free(items);
}

static void bytes_are_equal_if_all_are(void **state)
{
	_Alignas(EQUAL_ALIGNMENT) uint8_t a[81], b[80];

	(void)state;
	memset(a, 'x', sizeof a);
	memset(b, 'x', sizeof b);
	for (size_t size = 0; size <= sizeof b; size++) {
		/* Not aligned, and what lies behind them does not count. */
		assert_true(equal_none(equal_differences(a + 1, b, size)));
		for (size_t at = 0; at < sizeof b; at++) {
			b[at] ^= (uint8_t)(1 << at % 8);
			assert_int_equal(equal_none(equal_differences(a + 1, b, size)), at >= size);
			if (size == sizeof b) {
				assert_int_equal(
					equal_none(equal_differences_16(a + 1, b)), at >= 16);
				assert_int_equal(
					equal_none(equal_differences_64(a + 1, b)), at >= 64);
				assert_false(equal_80(a + 1, b));
			}
			b[at] = 'x';
		}
	}
	assert_true(equal_80(a + 1, b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_hash_with_a_key_is_siphash),
		cmocka_unit_test(a_hash_table_finds_all_that_have_a_hash),
		cmocka_unit_test(no_two_processes_hash_alike),
		cmocka_unit_test(words_and_what_follows_are_hashed_as_one),
		cmocka_unit_test(errors_carry_status_and_sentence),
		cmocka_unit_test(a_status_is_the_same_for_who_wants_no_message),
		cmocka_unit_test(long_errors_are_cut),
		cmocka_unit_test(no_cut_error_ends_in_half_a_character),
		cmocka_unit_test(a_number_from_outside_is_an_error_only_if_a_call_can_fail_with_it),
		cmocka_unit_test(sizes_do_not_wrap),
		cmocka_unit_test(numbers_are_read_whole),
		cmocka_unit_test(numbers_are_written_for_people),
		cmocka_unit_test(text_is_escaped),
		cmocka_unit_test(bytes_are_equal_if_all_are),
		cmocka_unit_test(lists_keep_what_is_in_them_when_they_grow),
		cmocka_unit_test(the_process_id_is_right_in_children_too),
	};

	return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
