#include "scene.h"

#include "test.h"

#include "folder.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "exchange/head_report.h"
#include "image/encode.h"
#include "shm/names.h"
#include "shm/shm_file.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static uint8_t pixel_byte(unsigned seed, size_t i)
{
	return (uint8_t)(seed * 131 + i * 7 + (i >> 8) * 13);
}

void write_image(
	const struct scene *scene, const char *name, unsigned seed, uint32_t width, uint32_t height)
{
	size_t size = (size_t)width * height * 3;
	struct encode_image image = {.width = width, .height = height, .channels = 3, .bits = 8};
	char path[512], beside[520];
	uint8_t *pixels = malloc(size);
	FILE *file;

	snprintf(path, sizeof path, "%s/%s", scene->folder, name);
	snprintf(beside, sizeof beside, "%s/.new", scene->folder);
	for (size_t i = 0; i < size; i++)
		pixels[i] = pixel_byte(seed, i);
	image.pixels = pixels;
	file = fopen(beside, "we");
	assert_non_null(file);
	assert_int_equal(encode_write(file, ENCODE_PNG, &image, NULL, NULL), 0);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(rename(beside, path), 0);
	free(pixels);
}

bool right_pixels(const struct shmsem_image *image, unsigned seed)
{
	const uint8_t *pixels = image->pixels;

	for (size_t i = 0; i < image->info.bytes; i++)
		if (pixels[i] != pixel_byte(seed, i))
			return false;
	return true;
}

void start_server_for(
	struct scene *scene, const char *seats, const char *decoders, const char *cache)
{
	char *arguments[] = {getenv("SHMSEM"), (char *)"serve", (char *)"-q", (char *)"-N",
		scene->space, (char *)"-s", (char *)seats, (char *)"-w", (char *)decoders,
		(char *)"--cache", (char *)cache, (char *)"--decode-timeout", (char *)"300",
		scene->folder, NULL};

	assert_non_null(arguments[0]);
	assert_int_equal(
		posix_spawn(&scene->server, arguments[0], NULL, NULL, arguments, environ), 0);
}

void start_server(struct scene *scene, const char *decoders, const char *cache)
{
	start_server_for(scene, "6", decoders, cache);
}

void end_server(struct scene *scene, int signal)
{
	int status;

	/* Should a failed test have left it stopped. Before the other signal: at its end a sanitizer
	 * stops the process to look for leaks, and SIGCONT would undo that for ever. */
	kill(scene->server, SIGCONT);
	kill(scene->server, signal);
	assert_int_equal(waitpid(scene->server, &status, 0), scene->server);
	if (signal == SIGTERM)
		assert_int_equal(status, 0);
	scene->server = 0;
}

struct shmsem *connect_to(const struct scene *scene)
{
	const struct shmsem_connect_options options = {
		.name_space = scene->space, .timeout_ns = TIMEOUT};
	uint64_t appear = deadline_after(TIMEOUT);
	struct shmsem_error error;
	struct shmsem *client;

	while (shmsem_connect(&client, &options, &error))
		if (error.status != SHMSEM_UNAVAILABLE || clock_now() > appear)
			fail_msg("%s", error.message);
	return client;
}

int scene_head(const struct scene *scene, int flags)
{
	char file[OBJECT_FILE_SIZE];
	struct name_space space;
	struct stat status;

	strcpy(space.text, scene->space);
	return shm_file_open(object_file(&space, OBJECT_HEAD, 0, file), flags, &status);
}

uint64_t counter(const struct scene *scene, enum wire_counter which)
{
	AUTO_CLOSE int fd = scene_head(scene, O_RDONLY);
	struct head_report report;

	assert_true(fd >= 0);
	assert_int_equal(head_report_read(fd, &report), 0);
	return report.counters[which];
}

pid_t decoder_of(const struct scene *scene)
{
	char path[64], text[64] = "";
	FILE *file;

	snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)scene->server,
		(int)scene->server);
	file = fopen(path, "re");
	assert_non_null(file);
	assert_non_null(fgets(text, sizeof text, file));
	fclose(file);
	text[strcspn(text, "\n")] = '\0';
	for (char *end = text + strlen(text); end > text && end[-1] == ' ';)
		*--end = '\0';
	return (pid_t)strtol(strrchr(text, ' ') ? strrchr(text, ' ') : text, NULL, 10);
}

static bool is_stopped(const char *task)
{
	char text[256] = "";
	const char *name_end;
	AUTO_CLOSE int fd = open(task, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0 && read(fd, text, sizeof text - 1) > 0);
	name_end = strrchr(text, ')');
	return name_end && name_end[2] == 'T';
}

void stop(pid_t pid)
{
	char path[64];
	glob_t tasks;

	kill(pid, SIGSTOP);
	snprintf(path, sizeof path, "/proc/%d/task/*/stat", (int)pid);
	assert_int_equal(glob(path, 0, NULL, &tasks), 0);
	for (size_t i = 0; i < tasks.gl_pathc; i++)
		while (!is_stopped(tasks.gl_pathv[i]))
			sched_yield();
	globfree(&tasks);
}

static int set_up_with(void **state, const char *decoders, const char *cache)
{
	static unsigned serial;
	struct scene *scene = calloc(1, sizeof *scene);

	alarm(600);
	strcpy(scene->folder, "/tmp/test-client-XXXXXX");
	assert_non_null(mkdtemp(scene->folder));
	snprintf(scene->space, sizeof scene->space, "test-client-%d-%u", (int)getpid(), serial++);
	write_image(scene, "a.png", 1, 100, 80);
	write_image(scene, "b.png", 2, 64, 64);
	start_server(scene, decoders, cache);
	scene->client = connect_to(scene);
	*state = scene;
	return 0;
}

int set_up(void **state)
{
	return set_up_with(state, "1", "16M");
}

int set_up_small(void **state)
{
	return set_up_with(state, "2", "1M");
}

int tear_down(void **state)
{
	struct scene *scene = *state;

	shmsem_close(scene->client);
	if (scene->server)
		end_server(scene, SIGTERM);
	assert_int_equal(scene_head(scene, O_RDONLY), -1);
	folder_remove(scene->folder);
	free(scene);
	alarm(0);
	return 0;
}

int fetch(struct shmsem *client, const char *name, struct shmsem_image *ret)
{
	return shmsem_fetch(client, &(struct shmsem_request){.name = name}, ret, NULL);
}

struct shmsem_image fetched(struct shmsem *client, const char *name, unsigned seed)
{
	struct shmsem_image image;
	struct shmsem_error error;

	if (shmsem_fetch(client, &(struct shmsem_request){.name = name}, &image, &error))
		fail_msg("%s", error.message);
	assert_true(right_pixels(&image, seed));
	return image;
}
