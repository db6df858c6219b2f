/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An MPI program: a token goes round a thousand times, then 16 MiB go from rank 0 to 1 sixteen
 * times. Prints the token and the bandwidth. */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ROUNDS = 1000, TIMES = 16, SIZE = 16 << 20 };

static void receive(long *token, int from)
{
	MPI_Recv(token, 1, MPI_LONG, from, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
}

static long ring(int rank, int size)
{
	long token = 0;

	for (int i = 0; i < ROUNDS; i++) {
		if (rank > 0)
			receive(&token, rank - 1);
		token++;
		MPI_Send(&token, 1, MPI_LONG, (rank + 1) % size, 0, MPI_COMM_WORLD);
		if (rank == 0)
			receive(&token, size - 1);
	}
	return token;
}

static double bandwidth(int rank)
{
	char *buffer = malloc(SIZE);
	double began;

	memset(buffer, rank, SIZE);
	MPI_Barrier(MPI_COMM_WORLD);
	began = MPI_Wtime();
	for (int i = 0; i < TIMES && rank < 2; i++) {
		if (rank == 0)
			MPI_Send(buffer, SIZE, MPI_CHAR, 1, 1, MPI_COMM_WORLD);
		else
			MPI_Recv(buffer, SIZE, MPI_CHAR, 0, 1, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
	}
	MPI_Barrier(MPI_COMM_WORLD);
	free(buffer);
	return (double)TIMES * SIZE / (MPI_Wtime() - began) / 1e6;
}

int main(int argc, char **argv)
{
	int rank, size;
	double speed;
	long token;

	MPI_Init(&argc, &argv);
	MPI_Comm_rank(MPI_COMM_WORLD, &rank);
	MPI_Comm_size(MPI_COMM_WORLD, &size);
	token = ring(rank, size);
	speed = bandwidth(rank);
	if (rank == 0)
		printf("token %ld, %.0f MB/s\n", token, speed);
	usleep(500000); /* to be seen */
	MPI_Finalize();
	return 0;
}
