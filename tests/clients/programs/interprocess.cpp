/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* interprocess MIB: Boost.Interprocess's managed_shared_memory of so many MiB, filled to the last
 * byte, a counter in it that two children count up under a named_mutex, and a message_queue by which
 * they send. Prints the counter and the sum of the messages. */
#include <boost/interprocess/ipc/message_queue.hpp>
#include <boost/interprocess/managed_shared_memory.hpp>
#include <boost/interprocess/sync/named_mutex.hpp>
#include <boost/interprocess/sync/scoped_lock.hpp>

#include <cstdlib>
#include <cstring>
#include <iostream>
#include <string>
#include <sys/wait.h>
#include <unistd.h>

using namespace boost::interprocess;

static const int children = 2;
static const long counts = 10000, messages = 1000;

struct names {
	std::string memory, mutex, queue;
};

static void child(const names &names)
{
	managed_shared_memory memory(open_only, names.memory.c_str());
	named_mutex mutex(open_only, names.mutex.c_str());
	message_queue queue(open_only, names.queue.c_str());
	long *count = memory.find<long>("count").first;

	for (long i = 0; i < counts; i++) {
		scoped_lock<named_mutex> lock(mutex);
		++*count;
	}
	for (long i = 0; i < messages; i++)
		queue.send(&i, sizeof i, 0);
	usleep(500000); /* to be seen */
}

static long receive(message_queue &queue)
{
	message_queue::size_type size;
	unsigned priority;
	long sum = 0, message;

	for (int i = 0; i < children * messages; i++) {
		queue.receive(&message, sizeof message, size, priority);
		sum += message;
	}
	return sum;
}

static void parent(const names &names, size_t size)
{
	managed_shared_memory memory(create_only, names.memory.c_str(), size);
	named_mutex mutex(create_only, names.mutex.c_str());
	message_queue queue(create_only, names.queue.c_str(), 16, sizeof(long));
	long *count = memory.construct<long>("count")(0);
	size_t rest = memory.get_free_memory() - 4096;

	std::memset(memory.allocate(rest), 1, rest);
	for (int i = 0; i < children; i++)
		if (fork() == 0) {
			child(names);
			_exit(0);
		}
	long sum = receive(queue);
	while (wait(nullptr) > 0)
		;
	std::cout << *count << " " << sum << std::endl;
}

int main(int, char **argv)
{
	std::string base = "boost-" + std::to_string(getpid()) + "-";
	names names = {base + "memory", base + "mutex", base + "queue"};
	int status = 0;

	try {
		parent(names, std::strtoul(argv[1], nullptr, 10) << 20);
	} catch (const interprocess_exception &exception) {
		std::cerr << exception.what() << std::endl;
		status = 1;
	}
	message_queue::remove(names.queue.c_str());
	named_mutex::remove(names.mutex.c_str());
	shared_memory_object::remove(names.memory.c_str());
	return status;
}
