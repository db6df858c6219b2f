/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* dlsym(RTLD_NEXT) by our own hand: that takes the loader's lock, and may allocate, so that it is
 * nothing for signal handlers, children of vfork and what allocators call; and all names at once
 * were most of what it took to start. What the loader has in its list behind us is in the order in
 * which it searches, and stays: what dlopen adds comes after, and is not asked. */
#include "preload/real.h"

#include <dlfcn.h>
#include <link.h>
#include <string.h>

enum { VERSION_FIRST = 2, VERSION_MASK = 0x7fff, VERSION_HIDDEN = 0x8000 };
enum { WORD_BITS = sizeof(ElfW(Addr)) * 8 };

/* One for both classes of ELF. */
#define SYMBOL_TYPE(info) ((info) & 0xf)

/* One the loader has, as DT_GNU_HASH has it. */
struct object {
	const ElfW(Sym) *symbols;
	const char *names;
	const ElfW(Half) *versions; /* NULL: it has none */
	const uint32_t *hash;       /* NULL: it has none */
};

const bool real_is_before_all = true;
struct real real_table;
/* The last that was there when we began. */
static struct link_map *last;

/* Whether the loader has made an address of it differs from machine to machine. */
static const void *place(const struct link_map *map, ElfW(Addr) address)
{
	return (const void *)(address < map->l_addr ? address + map->l_addr : address);
}

static struct object describe(const struct link_map *map)
{
	struct object object = {.symbols = NULL};

	for (const ElfW(Dyn) *entry = map->l_ld; entry->d_tag != DT_NULL; entry++) {
		switch (entry->d_tag) {
		case DT_SYMTAB: object.symbols = place(map, entry->d_un.d_ptr); break;
		case DT_STRTAB: object.names = place(map, entry->d_un.d_ptr); break;
		case DT_VERSYM: object.versions = place(map, entry->d_un.d_ptr); break;
		case DT_GNU_HASH: object.hash = place(map, entry->d_un.d_ptr); break;
		default: break;
		}
	}
	return object;
}

/* As dlsym has it: in its default version, if it has versions. */
static bool is_it(const struct object *object, uint32_t index, const char *name)
{
	const ElfW(Sym) *symbol = &object->symbols[index];
	unsigned version = object->versions ? object->versions[index] : VERSION_FIRST;

	return symbol->st_shndx != SHN_UNDEF && symbol->st_value &&
	       !(version & VERSION_HIDDEN && (version & VERSION_MASK) >= VERSION_FIRST) &&
	       strcmp(object->names + symbol->st_name, name) == 0;
}

static uint32_t hash_of(const char *name)
{
	uint32_t hash = 5381;

	for (; *name; name++)
		hash = hash * 33 + (unsigned char)*name;
	return hash;
}

static const ElfW(Sym) *find_in(const struct object *object, const char *name, uint32_t hash)
{
	uint32_t buckets_count = object->hash[0];
	uint32_t first = object->hash[1];
	uint32_t words_count = object->hash[2];
	uint32_t shift = object->hash[3];
	const ElfW(Addr) *words = (const ElfW(Addr) *)(object->hash + 4);
	const uint32_t *buckets = (const uint32_t *)(words + words_count);
	const uint32_t *chain = buckets + buckets_count;
	ElfW(Addr) word = words[hash / WORD_BITS % words_count];
	uint32_t index;

	if (!(word >> hash % WORD_BITS & word >> (hash >> shift) % WORD_BITS & 1))
		return NULL;
	index = buckets[hash % buckets_count];
	if (index < first)
		return NULL;
	for (;; index++) {
		uint32_t its = chain[index - first];

		if ((its | 1) == (hash | 1) && is_it(object, index, name))
			return &object->symbols[index];
		if (its & 1)
			return NULL;
	}
}

static struct link_map *find_ourselves(void)
{
	struct link_map *map = _r_debug.r_map;

	while (map && map->l_ld != _DYNAMIC)
		map = map->l_next;
	return map;
}

const char *real_library(void)
{
	const struct link_map *map = find_ourselves();

	return map ? map->l_name : NULL;
}

/* NULL: it is for dlsym to find. */
static void *find_behind_us(const char *name)
{
	struct link_map *map = find_ourselves();
	uint32_t hash = hash_of(name);

	while (map && map != last && (map = map->l_next)) {
		struct object object = describe(map);
		const ElfW(Sym) *symbol = object.hash ? find_in(&object, name, hash) : NULL;

		/* Which one it is such a function is to say. */
		if (!object.hash || (symbol && SYMBOL_TYPE(symbol->st_info) == STT_GNU_IFUNC))
			return NULL;
		if (symbol)
			return (void *)(map->l_addr + symbol->st_value);
	}
	return NULL;
}

/* Conditions changed their layout once, and have their names twice since. */
static void *find_by_loader(const char *name)
{
	static const char prefix[] = "pthread_cond_";
	void *found = NULL;

	if (strncmp(name, prefix, strlen(prefix)) == 0)
		found = dlvsym(RTLD_NEXT, name, "GLIBC_2.3.2");
	return found ? found : dlsym(RTLD_NEXT, name);
}

real_function *real_find(void *slot, const char *name)
{
	void *found = find_behind_us(name);
	real_function *function;

	if (!found)
		found = find_by_loader(name);
	/* POSIX lets a function's address pass as an object's; ISO C only by its bytes. */
	memcpy(&function, &found, sizeof function);
	__atomic_store_n((real_function **)slot, function, __ATOMIC_RELAXED);
	return function;
}

/* Where the loader's list has nothing for us: now, since dlsym is nothing for later. */
static void find_all(void)
{
#define CALL(result, name, arguments)
#define SAME(name, as)
#define WIDE(name, as)
#define TIMED(name, as)
#define PASSED(result, name, arguments) real_find(&real_table.name, real_name(#name));
#define TALKS(result, name, parameters, arguments) real_find(&real_table.name, real_name(#name));
#define TELLS(result, name, parameters, arguments) real_find(&real_table.name, real_name(#name));
#include "preload/calls.def"
}

__attribute__((constructor)) static void construct(void)
{
	struct link_map *map = find_ourselves();

	if (!find_behind_us("close")) {
		find_all();
		return;
	}
	while (map->l_next)
		map = map->l_next;
	last = map;
}
