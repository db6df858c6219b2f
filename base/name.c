/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* glibc builds "/dev/shm/" + ["sem."] + NAME in a buffer made for "/dev/shm/sem." and 255 bytes
 * more. What overflows that buffer is EINVAL; what fits, yet is no possible file name, is the
 * kernel's ENAMETOOLONG. So a segment's name is ENAMETOOLONG from 256 to 259 bytes and EINVAL
 * from 260 on, a semaphore's ENAMETOOLONG from 252 to 255 and EINVAL from 256 on. [glibc 2.36,
 * probed] */
#include "base/name.h"

#include <errno.h>
#include <string.h>

static const char semaphore_prefix[] = "sem.";

enum { PREFIX_LENGTH = sizeof semaphore_prefix - 1 };

bool name_is_valid(const char *bytes, size_t length)
{
	if (length < 1 || length > NAME_LENGTH_MAX)
		return false;
	if (memchr(bytes, '/', length) || memchr(bytes, '\0', length))
		return false;
	return !(bytes[0] == '.' && (length == 1 || (length == 2 && bytes[1] == '.')));
}

bool name_is_semaphore(const char *bytes)
{
	return strncmp(bytes, semaphore_prefix, PREFIX_LENGTH) == 0;
}

int name_parse(enum name_kind kind, const char *given, struct name *ret_name)
{
	size_t prefix = kind == NAME_SEMAPHORE ? PREFIX_LENGTH : 0;
	size_t length;

	while (*given == '/')
		given++;
	length = strlen(given);
	if (length == 0 || memchr(given, '/', length))
		return -EINVAL;
	if (prefix + length > PREFIX_LENGTH + NAME_LENGTH_MAX)
		return -EINVAL;
	if (prefix + length > NAME_LENGTH_MAX)
		return -ENAMETOOLONG;

	memcpy(ret_name->bytes, semaphore_prefix, prefix);
	memcpy(ret_name->bytes + prefix, given, length + 1);
	ret_name->length = prefix + length;
	return 0;
}
