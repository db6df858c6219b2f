/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/words.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <unistd.h>

struct word {
	long value;
	const char *name;
};

#define WORD(name) {name, #name}
#define WORDS_END {0, NULL}

/* Those of several bits before those of one of them. */
static const struct word open_words[] = {
	WORD(O_TMPFILE), WORD(O_CREAT), WORD(O_EXCL), WORD(O_NOCTTY), WORD(O_TRUNC), WORD(O_APPEND),
	WORD(O_NONBLOCK), WORD(O_SYNC), WORD(O_DSYNC), WORD(O_ASYNC), WORD(O_DIRECT),
	{0100000, "O_LARGEFILE"}, WORD(O_DIRECTORY), WORD(O_NOFOLLOW), WORD(O_NOATIME),
	WORD(O_CLOEXEC), WORD(O_PATH), WORDS_END,
};
static const struct word access_mode_words[] = {
	WORD(O_RDONLY), WORD(O_WRONLY), WORD(O_RDWR), WORD(O_ACCMODE), WORDS_END,
};
static const struct word at_words[] = {
	WORD(AT_SYMLINK_NOFOLLOW), WORD(AT_EACCESS), WORD(AT_SYMLINK_FOLLOW),
	WORD(AT_NO_AUTOMOUNT), WORD(AT_EMPTY_PATH), {0x2000, "AT_STATX_FORCE_SYNC"},
	{0x4000, "AT_STATX_DONT_SYNC"}, WORDS_END,
};
static const struct word unlinkat_words[] = {WORD(AT_REMOVEDIR), WORDS_END};
static const struct word rename_words[] = {
	WORD(RENAME_NOREPLACE), WORD(RENAME_EXCHANGE), WORD(RENAME_WHITEOUT), WORDS_END,
};
static const struct word access_words[] = {WORD(R_OK), WORD(W_OK), WORD(X_OK), WORDS_END};
static const struct word protection_words[] = {
	WORD(PROT_READ), WORD(PROT_WRITE), WORD(PROT_EXEC), WORD(PROT_GROWSDOWN),
	WORD(PROT_GROWSUP), WORDS_END,
};
static const struct word map_type_words[] = {
	WORD(MAP_SHARED), WORD(MAP_PRIVATE), WORD(MAP_SHARED_VALIDATE), WORDS_END,
};
static const struct word map_words[] = {
	WORD(MAP_FIXED), WORD(MAP_ANONYMOUS), WORD(MAP_GROWSDOWN), WORD(MAP_DENYWRITE),
	WORD(MAP_EXECUTABLE), WORD(MAP_LOCKED), WORD(MAP_NORESERVE), WORD(MAP_POPULATE),
	WORD(MAP_NONBLOCK), WORD(MAP_STACK), WORD(MAP_HUGETLB), WORD(MAP_SYNC),
	WORD(MAP_FIXED_NOREPLACE), WORDS_END,
};
static const struct word mremap_words[] = {
	WORD(MREMAP_MAYMOVE), WORD(MREMAP_FIXED), {4, "MREMAP_DONTUNMAP"}, WORDS_END,
};
static const struct word msync_words[] = {
	WORD(MS_ASYNC), WORD(MS_INVALIDATE), WORD(MS_SYNC), WORDS_END,
};
static const struct word advice_words[] = {
	WORD(MADV_NORMAL), WORD(MADV_RANDOM), WORD(MADV_SEQUENTIAL), WORD(MADV_WILLNEED),
	WORD(MADV_DONTNEED), WORD(MADV_FREE), WORD(MADV_REMOVE), WORD(MADV_DONTFORK),
	WORD(MADV_DOFORK), WORD(MADV_MERGEABLE), WORD(MADV_UNMERGEABLE), WORD(MADV_HUGEPAGE),
	WORD(MADV_NOHUGEPAGE), WORD(MADV_DONTDUMP), WORD(MADV_DODUMP), WORD(MADV_WIPEONFORK),
	WORD(MADV_KEEPONFORK), WORD(MADV_COLD), WORD(MADV_PAGEOUT), {22, "MADV_POPULATE_READ"},
	{23, "MADV_POPULATE_WRITE"}, {24, "MADV_DONTNEED_LOCKED"}, {25, "MADV_COLLAPSE"},
	WORDS_END,
};
static const struct word fallocate_words[] = {
	{0x01, "FALLOC_FL_KEEP_SIZE"}, {0x02, "FALLOC_FL_PUNCH_HOLE"},
	{0x08, "FALLOC_FL_COLLAPSE_RANGE"}, {0x10, "FALLOC_FL_ZERO_RANGE"},
	{0x20, "FALLOC_FL_INSERT_RANGE"}, {0x40, "FALLOC_FL_UNSHARE_RANGE"}, WORDS_END,
};
static const struct word memfd_words[] = {
	WORD(MFD_CLOEXEC), WORD(MFD_ALLOW_SEALING), WORD(MFD_HUGETLB), {8, "MFD_NOEXEC_SEAL"},
	{16, "MFD_EXEC"}, WORDS_END,
};
static const struct word key_words[] = {WORD(IPC_PRIVATE), WORDS_END};
/* With a mode behind them. */
static const struct word ipc_words[] = {
	WORD(IPC_CREAT), WORD(IPC_EXCL), WORD(SHM_HUGETLB), WORD(SHM_NORESERVE), WORDS_END,
};
static const struct word shmat_words[] = {
	WORD(SHM_RDONLY), WORD(SHM_RND), WORD(SHM_REMAP), WORD(SHM_EXEC), WORDS_END,
};
static const struct word message_words[] = {
	WORD(IPC_NOWAIT), WORD(MSG_NOERROR), WORD(MSG_EXCEPT), WORD(MSG_COPY), WORDS_END,
};
static const struct word operation_words[] = {WORD(IPC_NOWAIT), WORD(SEM_UNDO), WORDS_END};
static const struct word shmctl_words[] = {
	WORD(IPC_RMID), WORD(IPC_SET), WORD(IPC_STAT), WORD(IPC_INFO), WORD(SHM_LOCK),
	WORD(SHM_UNLOCK), WORD(SHM_STAT), WORD(SHM_INFO), WORD(SHM_STAT_ANY), WORDS_END,
};
static const struct word semctl_words[] = {
	WORD(IPC_RMID), WORD(IPC_SET), WORD(IPC_STAT), WORD(IPC_INFO), WORD(GETPID), WORD(GETVAL),
	WORD(GETALL), WORD(GETNCNT), WORD(GETZCNT), WORD(SETVAL), WORD(SETALL), WORD(SEM_STAT),
	WORD(SEM_INFO), WORD(SEM_STAT_ANY), WORDS_END,
};
static const struct word msgctl_words[] = {
	WORD(IPC_RMID), WORD(IPC_SET), WORD(IPC_STAT), WORD(IPC_INFO), WORD(MSG_STAT),
	WORD(MSG_INFO), WORD(MSG_STAT_ANY), WORDS_END,
};
static const struct word folder_words[] = {WORD(AT_FDCWD), WORDS_END};
static const struct word existence_words[] = {WORD(F_OK), WORDS_END};
static const struct word no_protection_words[] = {WORD(PROT_NONE), WORDS_END};
static const struct word no_words[] = {WORDS_END};

/* How what is left over without a name is written. */
enum rest { REST_HEX, REST_DECIMAL, REST_MODE };

static const struct meaning {
	char letter;
	enum rest rest;
	const struct word *one;  /* of the bits of `bits`, or of the whole number */
	long bits;               /* 0: the whole number; then `some` is for what is none of those */
	const struct word *some; /* any number of them */
} meanings[] = {
	{'O', REST_HEX, access_mode_words, O_ACCMODE, open_words},
	{'A', REST_HEX, no_words, 0, at_words},
	{'x', REST_HEX, no_words, 0, unlinkat_words},
	{'r', REST_HEX, no_words, 0, rename_words},
	{'W', REST_HEX, existence_words, 0, access_words},
	{'P', REST_HEX, no_protection_words, 0, protection_words},
	{'M', REST_HEX, map_type_words, MAP_TYPE, map_words},
	{'R', REST_HEX, no_words, 0, mremap_words},
	{'Y', REST_HEX, no_words, 0, msync_words},
	{'V', REST_DECIMAL, advice_words, 0, no_words},
	{'F', REST_HEX, no_words, 0, fallocate_words},
	{'K', REST_HEX, no_words, 0, memfd_words},
	{'k', REST_HEX, key_words, 0, no_words},
	{'I', REST_MODE, no_words, 0, ipc_words},
	{'H', REST_HEX, no_words, 0, shmat_words},
	{'N', REST_HEX, no_words, 0, message_words},
	{'C', REST_DECIMAL, shmctl_words, 0, no_words},
	{'E', REST_DECIMAL, semctl_words, 0, no_words},
	{'X', REST_DECIMAL, msgctl_words, 0, no_words},
	{'D', REST_DECIMAL, folder_words, 0, no_words},
	/* Of a struct sembuf. */
	{'f', REST_HEX, no_words, 0, operation_words},
};

struct line {
	char *text;
	size_t size;
	size_t length;
};

static void add(struct line *line, const char *word)
{
	int got = snprintf(line->text + line->length, line->size - line->length, "%s%s",
	                   line->length ? "|" : "", word);

	if (got > 0 && (size_t)got < line->size - line->length)
		line->length += (size_t)got;
}

static const char *name_of(const struct word *words, long number)
{
	for (; words->name; words++)
		if (words->value == number)
			return words->name;
	return NULL;
}

static void add_rest(struct line *line, enum rest rest, long number)
{
	char text[32];

	if (rest == REST_MODE)
		snprintf(text, sizeof text, "0%lo", (unsigned long)number);
	else if (rest == REST_DECIMAL)
		snprintf(text, sizeof text, "%ld", number);
	else
		snprintf(text, sizeof text, number ? "%#lx" : "%lx", (unsigned long)number);
	add(line, text);
}

static void add_words(struct line *line, const struct meaning *meaning, long number)
{
	const char *name;

	name = name_of(meaning->one, meaning->bits ? number & meaning->bits : number);
	if (name) {
		add(line, name);
		number &= meaning->bits ? ~meaning->bits : 0;
	}
	for (const struct word *word = meaning->some; word->name; word++) {
		if ((number & word->value) != word->value)
			continue;
		add(line, word->name);
		number &= ~word->value;
	}
	if (number || !line->length)
		add_rest(line, meaning->rest, number);
}

bool words_of(char letter, long number, char *text, size_t size)
{
	struct line line = {text, size, 0};

	/* All of these are ints, of which the program may have had no sign. */
	number = (uint32_t)number;
	if (letter == 'D')
		number = (int32_t)number;
	for (size_t i = 0; i < sizeof meanings / sizeof meanings[0]; i++) {
		if (meanings[i].letter != letter)
			continue;
		text[0] = '\0';
		add_words(&line, &meanings[i], number);
		return true;
	}
	return false;
}
