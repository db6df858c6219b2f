/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuse/complaint.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/own.h"

void complaint_begin(struct complaint *ret_complaint)
{
	int ends[2];

	*ret_complaint = (struct complaint){-1, -1};
	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return;
	ret_complaint->said = ends[0];
	ret_complaint->before = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	if (ret_complaint->before >= 0)
		dup2(ends[1], STDERR_FILENO);
	close(ends[1]);
}

void complaint_end(struct complaint *complaint, char *line, size_t size)
{
	ssize_t length = -1;

	if (complaint->before >= 0) {
		length = read(complaint->said, line, size - 1);
		dup2(complaint->before, STDERR_FILENO);
	}
	line[length > 0 ? length : 0] = '\0';
	line[strcspn(line, "\n")] = '\0';
	fd_close_at(&complaint->said);
	fd_close_at(&complaint->before);
}
