/* What is used of libseccomp. */
#pragma once

#include "dynload/dynload.h"

#include <seccomp.h>

#define LIBSECCOMP(F)             \
	F(seccomp_attr_set)       \
	F(seccomp_init)           \
	F(seccomp_load)           \
	F(seccomp_release)        \
	F(seccomp_rule_add_array) \
	F(seccomp_syscall_resolve_num_arch)

struct libseccomp {
	LIBSECCOMP(DYNLOAD_MEMBER)
};

extern struct libseccomp libseccomp;

int libseccomp_load(struct error *err);

#define seccomp_attr_set                 libseccomp.seccomp_attr_set
#define seccomp_init                     libseccomp.seccomp_init
#define seccomp_load                     libseccomp.seccomp_load
#define seccomp_release                  libseccomp.seccomp_release
#define seccomp_rule_add_array           libseccomp.seccomp_rule_add_array
#define seccomp_syscall_resolve_num_arch libseccomp.seccomp_syscall_resolve_num_arch
