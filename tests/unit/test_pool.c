/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The connections' pool, from threads and over forks, and the table of semaphores. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "preload/pool.h"
#include "preload/table.h"

static int new_socket(void)
{
	int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	cr_assert_geq(sock, 0);
	return sock;
}

static struct line take(void)
{
	int other;
	struct line line = pool_take(&other);

	close(other);
	return line;
}

Test(pool, a_kept_connection_is_found_again)
{
	struct line line = take();
	int sock = new_socket();

	cr_assert_eq(line.sock, -1);
	line.sock = sock;
	pool_put(line);
	cr_assert_eq(take().sock, sock);
}

Test(pool, a_closed_connection_is_not_used)
{
	struct line line = take();

	line.sock = new_socket();
	pool_put(line);
	close(line.sock);
	cr_assert_eq(take().sock, -1);
}

/* The program closed our number and has its own socket there: it must be neither used nor closed.
 */
Test(pool, another_socket_under_its_number_is_left_alone)
{
	struct line line = take();
	int foreign = new_socket();

	line.sock = new_socket();
	pool_put(line);
	cr_assert_eq(dup2(foreign, line.sock), line.sock);
	cr_assert_eq(take().sock, -1);
	cr_assert_geq(fcntl(line.sock, F_GETFD), 0, "still open");
}

Test(pool, more_users_than_places)
{
	for (int i = 0; i < POOL_SIZE; i++)
		cr_assert_eq(take().slot, i);
	cr_assert_eq(take().slot, -1);
}

Test(pool, a_child_gets_its_parents_connection_to_ask_for_its_own)
{
	struct line line = take();
	int status;

	line.sock = new_socket();
	pool_put(line);
	if (fork() == 0) {
		int other;
		struct line mine = pool_take(&other);

		_exit(mine.sock == -1 && other == line.sock ? 0 : 1);
	}
	wait(&status);
	cr_assert_eq(status, 0);
	cr_assert_eq(take().sock, line.sock, "the parent keeps it");
}

/* What is asked for over one that another waits in would wait as well. */
Test(pool, a_connection_to_wait_in_is_nobody_elses)
{
	int other, status;
	struct line line = pool_take_to_wait(&other), more;
	struct stat one, two;

	cr_assert_eq(other, -1);
	line.sock = new_socket();
	pool_put(line);
	cr_assert_eq(pool_take_to_wait(&other).sock, line.sock);
	more = pool_take(&other);
	cr_assert_eq(more.sock, -1);
	cr_assert_eq(other, -1);
	more.sock = new_socket();
	pool_put(more);
	cr_assert_eq(pool_take_to_wait(&other).sock, -1);
	cr_assert_geq(other, 0);
	if (fork() == 0) {
		struct line mine = pool_take_to_wait(&other);

		fstat(more.sock, &one);
		_exit(mine.sock == -1 && fstat(other, &two) == 0 && one.st_ino == two.st_ino ? 0 :
		                                                                               1);
	}
	wait(&status);
	cr_assert_eq(status, 0);
}

/* In the child the place is in use by a thread that is not there. */
Test(pool, a_place_in_use_at_the_fork_is_free_in_the_child)
{
	int status;

	take();
	if (fork() == 0)
		_exit(take().slot == 0 ? 0 : 1);
	wait(&status);
	cr_assert_eq(status, 0);
}

/* From now on there is no madvise: the pool must do without MADV_WIPEONFORK. */
static void withhold_madvise(void)
{
	struct sock_filter steps[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_madvise, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = {sizeof steps / sizeof steps[0], steps};

	cr_assert_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	cr_assert_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter), 0);
}

static int take_as_a_child(void)
{
	int other;
	struct line mine = pool_take(&other);

	return mine.sock == -1 && other >= 0 ? 0 : 1;
}

Test(pool, without_madvise_a_child_is_another)
{
	struct line line;
	int status;

	withhold_madvise();
	line = take();
	line.sock = new_socket();
	pool_put(line);
	if (fork() == 0) {
		if (fork() == 0)
			_exit(take_as_a_child());
		wait(&status);
		_exit(status != 0 || take_as_a_child());
	}
	wait(&status);
	cr_assert_eq(status, 0);
	cr_assert_eq(take().sock, line.sock, "the parent keeps it");
}

enum { THREADS = 8, ROUNDS = 20000 };
static atomic_int users[POOL_SIZE];
static atomic_int clashes;

static void *use(void *unused)
{
	for (int i = 0; i < ROUNDS; i++) {
		int other;
		struct line line = pool_take(&other);

		if (line.slot >= 0 && atomic_fetch_add(&users[line.slot], 1) != 0)
			clashes++;
		if (line.sock < 0)
			line.sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
		if (line.slot >= 0)
			atomic_fetch_sub(&users[line.slot], 1);
		pool_put(line);
	}
	return unused;
}

static void use_from_threads(void)
{
	pthread_t threads[THREADS];

	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, use, NULL);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	cr_assert_eq(clashes, 0);
}

Test(pool, one_user_at_a_time, .timeout = 120) { use_from_threads(); }

Test(pool, without_madvise_one_user_at_a_time, .timeout = 120)
{
	withhold_madvise();
	use_from_threads();
}

static int semaphore_file(void)
{
	int fd = memfd_create("sem", MFD_CLOEXEC);

	cr_assert_eq(ftruncate(fd, sizeof(sem_t)), 0);
	return fd;
}

Test(table, one_address_for_one_file_and_a_count_of_openings)
{
	int file = semaphore_file();
	int other_file = semaphore_file();
	sem_t *first;
	sem_t *second;
	sem_t *other;

	cr_assert_eq(table_open(file, NULL, &first), 0);
	cr_assert_eq(table_open(file, NULL, &second), 0);
	cr_assert_eq(table_open(other_file, NULL, &other), 0);
	cr_assert_eq(first, second);
	cr_assert_neq(first, other);
	cr_assert_eq(table_close(first), 0);
	cr_assert_eq(sem_init(second, 1, 1), 0, "still mapped");
	cr_assert_eq(table_close(second), 0);
	cr_assert_eq(table_close(second), -EINVAL);
	cr_assert_eq(table_close(NULL), -EINVAL);
}

Test(table, a_file_too_small_is_no_semaphore)
{
	int file = memfd_create("small", MFD_CLOEXEC);
	sem_t *sem;

	cr_assert_eq(table_open(file, NULL, &sem), -EINVAL);
}

Test(table, grows)
{
	sem_t *sems[300];

	for (int i = 0; i < 300; i++)
		cr_assert_eq(table_open(semaphore_file(), NULL, &sems[i]), 0);
	for (int i = 0; i < 300; i++)
		cr_assert_eq(table_close(sems[i]), 0);
}
