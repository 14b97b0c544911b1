/* nasty-files FOLDER: writes them all into a folder, for a server to be asked for. */
#include "nasty/nasty.h"

#include <stdio.h>
#include <stdlib.h>

static void write_file(const struct nasty_file *file, void *context)
{
	char path[4096];
	FILE *stream;

	snprintf(path, sizeof path, "%s/%s.png", (const char *)context, file->name);
	stream = fopen(path, "wbe");
	if (!stream || fwrite(file->data, 1, file->size, stream) != file->size || fclose(stream)) {
		perror(path);
		exit(EXIT_FAILURE);
	}
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fputs("Usage: nasty-files FOLDER\n", stderr);
		return 64;
	}
	printf("%zu files\n", nasty_generate(write_file, argv[1]));
	return 0;
}
