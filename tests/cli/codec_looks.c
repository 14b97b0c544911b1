/*
 * Preloaded, makes libjpeg what it is on ARM: the first codec of a process looks into /proc/cpuinfo,
 * and says so on standard error.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <jpeglib.h>

static void look(void)
{
	static const char said[] = "looked into /proc/cpuinfo\n";
	static bool looked;
	int file;

	if (looked)
		return;
	looked = true;
	file = open("/proc/cpuinfo", O_RDONLY | O_CLOEXEC);
	if (file < 0 || write(STDERR_FILENO, said, sizeof said - 1) < 0)
		abort();
	close(file);
}

void jpeg_start_compress(j_compress_ptr jpeg, boolean write_all_tables)
{
	void (*real)(j_compress_ptr, boolean);

	look();
	*(void **)&real = dlsym(RTLD_NEXT, "jpeg_start_compress");
	real(jpeg, write_all_tables);
}

boolean jpeg_start_decompress(j_decompress_ptr jpeg)
{
	boolean (*real)(j_decompress_ptr);

	look();
	*(void **)&real = dlsym(RTLD_NEXT, "jpeg_start_decompress");
	return real(jpeg);
}
