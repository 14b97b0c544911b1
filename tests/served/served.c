#include "served.h"

#include "unit/test.h"

#include "base/clock.h"
#include "server/decoder.h"
#include "server/helper.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define NAMESPACE_TEXT "served"

void served_main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], DECODER_MODE))
		exit(decoder_main(argc, argv));
	if (argc > 1 && !strcmp(argv[1], HELPER_MODE))
		exit(helper_main(argc, argv));
}

static int count_entries(const char *path)
{
	DIR *folder = opendir(path);
	struct dirent *entry;
	int count = 0;

	while ((entry = readdir(folder)))
		count += entry->d_name[0] != '.';
	closedir(folder);
	return count;
}

/* The server closes a file a moment after it has answered: the fewest within a while. */
static int fewest_descriptors(int enough, uint64_t timeout_ns)
{
	uint64_t deadline = deadline_after(timeout_ns);
	int fewest = INT_MAX;

	while (fewest > enough && clock_now() < deadline) {
		int count = count_entries("/proc/self/fd");

		fewest = count < fewest ? count : fewest;
	}
	return fewest;
}

struct server_options served_options(void)
{
	struct server_options options = server_defaults;

	strcpy(options.space.text, NAMESPACE_TEXT);
	options.decoders = 1;
	options.seats = 2;
	options.cache = 64 << 20;
	return options;
}

void served_start(struct served *served, const struct server_options *options)
{
	struct server_options with_folder = *options;
	const struct shmsem_connect_options connect = {.name_space = NAMESPACE_TEXT};
	struct shmsem_error error;
	struct error err = {0};

	strcpy(served->folder, "/tmp/shmsem-served.XXXXXX");
	assert_non_null(mkdtemp(served->folder));
	with_folder.directory = served->folder;
	if (server_start(&with_folder, &served->server, &err))
		fail_msg("%s", err.text);
	if (shmsem_connect(&served->client, &connect, &error))
		fail_msg("%s", error.message);
	served->descriptors = fewest_descriptors(0, NS_PER_SECOND / 2);
}

static void remove_folder(const char *path)
{
	DIR *folder = opendir(path);
	struct dirent *entry;

	while ((entry = readdir(folder))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		if (unlinkat(dirfd(folder), entry->d_name, 0))
			unlinkat(dirfd(folder), entry->d_name, AT_REMOVEDIR);
	}
	closedir(folder);
	rmdir(path);
}

bool served_stop(struct served *served)
{
	/* The client opened the data segment, which was not there before. */
	int most = served->descriptors + 1, left;
	int now = fewest_descriptors(most, 20 * NS_PER_SECOND);
	bool children;

	shmsem_close(served->client);
	server_stop(served->server);
	remove_folder(served->folder);
	children = waitpid(-1, NULL, WNOHANG) != -1 || errno != ECHILD;
	left = count_entries("/dev/shm");
	if (now > most || children || left)
		print_error("%d descriptors, %d before; children: %d; objects: %d\n", now,
			served->descriptors, children, left);
	return now <= most && !children && !left;
}

const char *served_path(const struct served *served, const char *name)
{
	static char paths[4][256];
	static unsigned next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof *paths, "%s/%s", served->folder, name);
	return path;
}

void served_write(const struct served *served, const char *name, const void *data, size_t size)
{
	char path[256], fresh[256];
	FILE *file;

	snprintf(path, sizeof path, "%s/%s", served->folder, name);
	snprintf(fresh, sizeof fresh, "%s/fresh", served->folder);
	file = fopen(fresh, "we");
	assert_non_null(file);
	assert_int_equal(fwrite(data, 1, size, file), size);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(rename(fresh, path), 0);
}

int served_fetch(const struct served *served, const char *name, struct shmsem_image *image,
	struct shmsem_error *error)
{
	*error = (struct shmsem_error){0};
	return shmsem_fetch(served->client, &(struct shmsem_request){.name = name}, image, error);
}
