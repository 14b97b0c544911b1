/*
 * For LD_AUDIT, makes libjpeg what it is on ARM: the first codec of a process looks into
 * /proc/cpuinfo, and says so on standard error.
 */
#include <fcntl.h>
#include <link.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jpeglib.h>

static void (*real_start_compress)(j_compress_ptr jpeg, boolean write_all_tables);
static boolean (*real_start_decompress)(j_decompress_ptr jpeg);

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

static void start_compress(j_compress_ptr jpeg, boolean write_all_tables)
{
	look();
	real_start_compress(jpeg, write_all_tables);
}

static boolean start_decompress(j_decompress_ptr jpeg)
{
	look();
	return real_start_decompress(jpeg);
}

unsigned la_version(unsigned version)
{
	return version;
}

unsigned la_objopen(struct link_map *map, Lmid_t space, uintptr_t *cookie)
{
	(void)map;
	(void)space;
	(void)cookie;
	return LA_FLG_BINDTO | LA_FLG_BINDFROM;
}

/* What the loader finds under a name, also for dlsym(), is changed here. */
uintptr_t la_symbind64(Elf64_Sym *symbol, unsigned number, uintptr_t *from, uintptr_t *to,
	unsigned *flags, const char *name)
{
	(void)number;
	(void)from;
	(void)to;
	(void)flags;
	if (!strcmp(name, "jpeg_start_compress")) {
		memcpy(&real_start_compress, &symbol->st_value, sizeof real_start_compress);
		return (uintptr_t)start_compress;
	}
	if (!strcmp(name, "jpeg_start_decompress")) {
		memcpy(&real_start_decompress, &symbol->st_value, sizeof real_start_decompress);
		return (uintptr_t)start_decompress;
	}
	return symbol->st_value;
}
