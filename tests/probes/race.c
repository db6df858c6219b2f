/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Processes that create, open and remove the same name at once. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/probes/probe.h"

#define NAME "/race"

enum { RACERS = 8, ROUNDS = 500 };

static struct course {
	pthread_barrier_t barrier;
	atomic_int winners;
	atomic_int wrong;
} *course;

static void wrong_if(bool wrong)
{
	if (wrong)
		atomic_fetch_add(&course->wrong, 1);
}

/* Starts the racers and waits for them. */
static void race(void (*run)(int racer))
{
	pthread_barrierattr_t shared;
	pid_t racers[RACERS];

	course->wrong = 0;
	course->winners = 0;
	pthread_barrierattr_init(&shared);
	pthread_barrierattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
	must(pthread_barrier_init(&course->barrier, &shared, RACERS) == 0);
	for (int i = 0; i < RACERS; i++) {
		racers[i] = fork();
		if (racers[i] == 0) {
			run(i);
			_exit(EXIT_SUCCESS);
		}
	}
	for (int i = 0; i < RACERS; i++)
		must(await_child(racers[i]) == 0);
}

/* The value is 1, or 0 while somebody holds it: never that of a file not yet written. */
static void use(sem_t *sem)
{
	int value = -1;

	wrong_if(sem_getvalue(sem, &value) != 0 || value < 0 || value > 1);
	wrong_if(sem_wait(sem) != 0 || sem_post(sem) != 0);
	wrong_if(sem_close(sem) != 0);
}

static void come_and_go(int racer)
{
	for (int i = 0; i < ROUNDS; i++) {
		sem_t *sem = SEM_FAILED;

		if ((racer + i) % 3 == 0) {
			sem = sem_open(NAME, O_CREAT, 0600, 1);
			wrong_if(sem == SEM_FAILED);
		} else if ((racer + i) % 3 == 1) {
			sem = sem_open(NAME, 0);
			wrong_if(sem == SEM_FAILED && errno != ENOENT);
		} else {
			wrong_if(sem_unlink(NAME) != 0 && errno != ENOENT);
		}
		if (sem != SEM_FAILED)
			use(sem);
	}
}

/* After each round the last to come looks who won, and clears up. */
static void end_round(int (*unlink_name)(const char *))
{
	if (pthread_barrier_wait(&course->barrier) == PTHREAD_BARRIER_SERIAL_THREAD) {
		wrong_if(course->winners != 1);
		course->winners = 0;
		wrong_if(unlink_name(NAME) != 0);
	}
	pthread_barrier_wait(&course->barrier);
}

static void create_segment(int racer)
{
	struct stat status;

	(void)racer;
	for (int i = 0; i < ROUNDS; i++) {
		int fd = shm_open(NAME, O_RDWR | O_CREAT | O_EXCL, 0640);

		wrong_if(fd < 0 && errno != EEXIST);
		if (fd >= 0)
			atomic_fetch_add(&course->winners, 1);
		else
			fd = shm_open(NAME, O_RDONLY, 0);
		wrong_if(fstat(fd, &status) != 0 || (status.st_mode & 07777) != 0640);
		close(fd);
		end_round(shm_unlink);
	}
}

static void create_semaphore(int racer)
{
	(void)racer;
	for (int i = 0; i < ROUNDS; i++) {
		sem_t *sem = sem_open(NAME, O_CREAT | O_EXCL, 0600, 1);

		wrong_if(sem == SEM_FAILED && errno != EEXIST);
		if (sem != SEM_FAILED)
			atomic_fetch_add(&course->winners, 1);
		else
			sem = sem_open(NAME, 0);
		wrong_if(sem == SEM_FAILED);
		if (sem != SEM_FAILED)
			use(sem);
		end_round(sem_unlink);
	}
}

static void body(void)
{
	course = shared_memory(sizeof *course);
	umask(022);
	race(come_and_go);
	say("semaphores that come and go: %d wrong", course->wrong);
	sem_unlink(NAME);
	race(create_segment);
	say("one creates the segment: %d wrong", course->wrong);
	race(create_semaphore);
	say("one creates the semaphore: %d wrong", course->wrong);
}

int main(int argc, char **argv)
{
	return probe_run(argc, argv, body);
}
