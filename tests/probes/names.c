/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which names are taken, and which errno the others get. */
#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/probes/probe.h"

static const char *sem_outcome(sem_t *sem)
{
	if (sem == SEM_FAILED)
		return outcome(-1);
	sem_close(sem);
	return "ok";
}

static bool is_folder(const char *name)
{
	name += strspn(name, "/");
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static void ask(const char *label, const char *name)
{
	say("%s: shm_open %s", label, try_open(name, O_RDWR | O_CREAT, 0600));
	/* A known difference: /dev/shm's own folder can be opened natively, by the name ".". */
	if (!is_folder(name))
		say("%s: again %s", label, try_open(name, O_RDONLY, 0));
	say("%s: shm_unlink %s", label, outcome(shm_unlink(name)));
	say("%s: shm_unlink again %s", label, outcome(shm_unlink(name)));
	say("%s: sem_open %s", label, sem_outcome(sem_open(name, O_CREAT, 0600, 1)));
	say("%s: again %s", label, sem_outcome(sem_open(name, 0)));
	say("%s: sem_unlink %s", label, outcome(sem_unlink(name)));
	say("%s: sem_unlink again %s", label, outcome(sem_unlink(name)));
}

static void ask_length(size_t slashes, size_t length)
{
	char name[512];
	char label[32];

	memset(name, '/', slashes);
	memset(name + slashes, 'x', length);
	name[slashes + length] = '\0';
	snprintf(label, sizeof label, "%zu slashes, %zu bytes", slashes, length);
	ask(label, name);
}

static void ask_shapes(void)
{
	static const struct {
		const char *label;
		const char *name;
	} shapes[] = {
		{"plain", "/a"}, {"no slash", "a"}, {"three slashes", "///a"}, {"empty", ""},
		{"slash", "/"}, {"slashes", "///"}, {"inner slash", "/a/b"}, {"last slash", "/a/"},
		{"inner slashes", "/a//b"}, {"up", "/../a"}, {"up inside", "a/../b"}, {"dot", "/."},
		{"dot alone", "."}, {"two dots", "/.."}, {"three dots", "/..."}, {"hidden", "/.a"},
		{"blank", "/ "}, {"newline", "/a\nb"}, {"control", "/\001"}, {"high", "/\377\200"},
		{"utf-8", "/\303\244\342\202\254"}, {"quotes", "/\"'\\"}, {"percent", "/%s%n"},
		{"option", "/-rf"}, {"like a semaphore", "/sem.a"}, {"like our socket", "/socket"},
	};

	for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
		ask(shapes[i].label, shapes[i].name);
}

/* /x the segment and /x the semaphore are two; the semaphore is the file sem.x. */
static void ask_spaces(void)
{
	int fd = make_segment("/x", 0600, 3);
	struct stat status = {.st_size = -1};
	int file;

	say("semaphore of the segment's name: %s", sem_outcome(sem_open("/x", 0)));
	say("made: %s", sem_outcome(sem_open("/x", O_CREAT | O_EXCL, 0600, 1)));
	must(fstat(fd, &status) == 0);
	say("the segment's size: %ld", (long)status.st_size);
	file = shm_open("/sem.x", O_RDONLY, 0);
	say("the semaphore as a segment: %s", outcome(file));
	if (file >= 0 && fstat(file, &status) == 0)
		say("its size is a sem_t's: %d", status.st_size == (off_t)sizeof(sem_t));
	say("shm_unlink of the semaphore: %s", outcome(shm_unlink("/sem.x")));
	say("then the semaphore: %s", sem_outcome(sem_open("/x", 0)));
	say("then the segment: %s", try_open("/x", O_RDONLY, 0));
	say("with and without a slash are one: %s", try_open("x", O_RDWR | O_CREAT | O_EXCL, 0600));
	say("case matters: %s", try_open("/X", O_RDONLY, 0));
	must(shm_unlink("x") == 0);
	close(file);
	close(fd);
}

static void body(void)
{
	ask_shapes();
	for (size_t length = 249; length <= 258; length++)
		for (size_t slashes = 0; slashes <= 2; slashes++)
			ask_length(slashes, length);
	ask_length(0, 300);
	ask_length(1, 300);
	ask_spaces();
}

int main(int argc, char **argv)
{
	return probe_run(argc, argv, body);
}
