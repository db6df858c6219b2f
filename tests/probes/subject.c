/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/probes/subject.h"

#include <fcntl.h>

int subject_fd;

char *subject_make(struct subject subject)
{
	char *memory;

	if (subject.kind != MAPPING_KINDS) {
		subject_fd = mapping_open(subject.kind, O_RDWR, (long)LENGTH(PAGES));
		return map_apart(subject_fd, LENGTH(PAGES), READ_WRITE, subject.sharing);
	}
	subject_fd = -1;
	memory = map_apart(-1, LENGTH(PAGES), READ_WRITE, subject.sharing | MAP_ANONYMOUS);
	for (int i = 0; i < PAGES; i++)
		memory[i * PAGE] = (char)('a' + i);
	return memory;
}

void subject_tell_file(void)
{
	if (subject_fd >= 0)
		tell("the file: %s %s %s %s, size %ld", contents(subject_fd, 0),
		     contents(subject_fd, PAGE), contents(subject_fd, 2L * PAGE),
		     contents(subject_fd, 3L * PAGE), size_of(subject_fd));
}
