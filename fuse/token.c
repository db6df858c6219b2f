/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuse/token.h"

#include <errno.h>
#include <sys/random.h>
#include <time.h>

#include "base/token.h"

static int64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec;
}

int token_make(struct tokens *tokens, uint64_t ino, int flags, uint64_t ret_halves[static 2])
{
	struct token *token = &tokens->places[tokens->next % TOKENS_MAX];
	uint64_t halves[2];
	ssize_t got = getrandom(halves, sizeof halves, GRND_NONBLOCK);

	if (got < 0)
		return -errno;
	if (got != sizeof halves)
		return -EAGAIN;
	tokens->next++;
	*token = (struct token){
		.halves = {halves[0], halves[1]},
		.ino = ino,
		.flags = flags,
		.until = now() + TOKEN_SECONDS,
	};
	ret_halves[0] = halves[0];
	ret_halves[1] = halves[1];
	return 0;
}

int token_take(struct tokens *tokens, const uint64_t halves[static 2], uint64_t *ret_ino,
               int *ret_flags)
{
	for (unsigned i = 0; i < TOKENS_MAX; i++) {
		struct token *token = &tokens->places[i];

		if (token->halves[0] != halves[0] || token->halves[1] != halves[1] ||
		    token->until < now())
			continue;
		*ret_ino = token->ino;
		*ret_flags = token->flags;
		*token = (struct token){.until = 0};
		return 0;
	}
	return -ENOENT;
}
