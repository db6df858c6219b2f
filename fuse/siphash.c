/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuse/siphash.h"

#include <string.h>

static uint64_t rotate(uint64_t number, int bits)
{
	return number << bits | number >> (64 - bits);
}

static void sip_round(uint64_t v[static 4])
{
	v[0] += v[1];
	v[2] += v[3];
	v[1] = rotate(v[1], 13) ^ v[0];
	v[3] = rotate(v[3], 16) ^ v[2];
	v[0] = rotate(v[0], 32) + v[3];
	v[2] += v[1];
	v[3] = rotate(v[3], 21) ^ v[0];
	v[1] = rotate(v[1], 17) ^ v[2];
	v[2] = rotate(v[2], 32);
}

static void take_in(uint64_t v[static 4], uint64_t word)
{
	v[3] ^= word;
	sip_round(v);
	sip_round(v);
	v[0] ^= word;
}

uint64_t siphash(const uint64_t key[static 2], const void *bytes, size_t size)
{
	uint64_t v[4] = {
		key[0] ^ 0x736f6d6570736575,
		key[1] ^ 0x646f72616e646f6d,
		key[0] ^ 0x6c7967656e657261,
		key[1] ^ 0x7465646279746573,
	};
	const char *at = bytes;
	uint64_t last = (uint64_t)size << 56;
	uint64_t word;

	for (size_t left = size / sizeof word; left; left--, at += sizeof word) {
		memcpy(&word, at, sizeof word);
		take_in(v, word);
	}
	word = 0;
	memcpy(&word, at, size % sizeof word);
	take_in(v, last | word);
	v[2] ^= 0xff;
	for (int i = 0; i < 4; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}
