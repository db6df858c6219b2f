/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Both classes are read into the structures of 64 bits. Files are strangers' and may lie: each
 * offset and number is checked against what is there. They are read, not mapped: the host may have
 * no mmap. */
#include "cli/binary.h"

#include <elf.h>
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	SEGMENTS_MAX = 256, SECTIONS_MAX = 4096, DYNAMIC_MAX = 4096, SYMBOLS_MAX = 1 << 20,
	STRINGS_MAX = 32 << 20, INTERPRETER_MAX = 4096, NOTES_MAX = 4096,
};

/* While it is read. */
struct reader {
	int file;
	struct binary *binary;
	Elf64_Ehdr header;
	Elf64_Phdr segments[SEGMENTS_MAX];
	size_t segment_count;
	size_t strings_size;
	uint64_t symbols; /* address */
	uint64_t hash;    /* address of a table that tells how many there are */
};

/* Owned by the caller; NULL: it is not all there. A NUL comes behind it. */
static char *read_part(int file, uint64_t offset, size_t size)
{
	char *bytes = malloc(size + 1);

	if (bytes && pread(file, bytes, size, (off_t)offset) != (ssize_t)size) {
		free(bytes);
		return NULL;
	}
	if (bytes)
		bytes[size] = '\0';
	return bytes;
}

/* The element of an array in the file, into the structure of its class: `wide` or `narrow`. Returns
 * whether it is the wide one. */
static bool take(const struct reader *reader, const char *bytes, size_t number, void *wide,
                 size_t wide_size, void *narrow, size_t narrow_size)
{
	if (reader->binary->is_wide)
		memcpy(wide, bytes + number * wide_size, wide_size);
	else
		memcpy(narrow, bytes + number * narrow_size, narrow_size);
	return reader->binary->is_wide;
}

#define TAKE(reader, bytes, number, wide, narrow) \
	take(reader, bytes, number, wide, sizeof *(wide), narrow, sizeof *(narrow))

static Elf64_Ehdr header_of(const struct reader *reader, const char *bytes)
{
	Elf32_Ehdr narrow;
	Elf64_Ehdr header;

	if (TAKE(reader, bytes, 0, &header, &narrow))
		return header;
	return (Elf64_Ehdr){
		.e_type = narrow.e_type, .e_machine = narrow.e_machine, .e_phoff = narrow.e_phoff,
		.e_shoff = narrow.e_shoff, .e_phnum = narrow.e_phnum, .e_shnum = narrow.e_shnum,
	};
}

static Elf64_Phdr segment_of(const struct reader *reader, const char *bytes, size_t number)
{
	Elf32_Phdr narrow;
	Elf64_Phdr segment;

	if (TAKE(reader, bytes, number, &segment, &narrow))
		return segment;
	return (Elf64_Phdr){
		.p_type = narrow.p_type, .p_offset = narrow.p_offset, .p_vaddr = narrow.p_vaddr,
		.p_filesz = narrow.p_filesz,
	};
}

static Elf64_Dyn dynamic_of(const struct reader *reader, const char *bytes, size_t number)
{
	Elf32_Dyn narrow;
	Elf64_Dyn dynamic;

	if (TAKE(reader, bytes, number, &dynamic, &narrow))
		return dynamic;
	return (Elf64_Dyn){.d_tag = narrow.d_tag, .d_un.d_val = narrow.d_un.d_val};
}

static Elf64_Shdr section_of(const struct reader *reader, const char *bytes, size_t number)
{
	Elf32_Shdr narrow;
	Elf64_Shdr section;

	if (TAKE(reader, bytes, number, &section, &narrow))
		return section;
	return (Elf64_Shdr){.sh_type = narrow.sh_type, .sh_size = narrow.sh_size};
}

/* A symbol's name if it is an undefined one. */
static const char *import_of(const struct reader *reader, const char *bytes, size_t number)
{
	Elf32_Sym narrow;
	Elf64_Sym symbol;

	if (!TAKE(reader, bytes, number, &symbol, &narrow))
		symbol = (Elf64_Sym){.st_name = narrow.st_name, .st_shndx = narrow.st_shndx};
	if (symbol.st_shndx != SHN_UNDEF || symbol.st_name == 0 ||
	    symbol.st_name >= reader->strings_size)
		return NULL;
	return reader->binary->strings + symbol.st_name;
}

/* Where in the file an address is; 0: nowhere. */
static uint64_t offset_of(const struct reader *reader, uint64_t address)
{
	for (size_t i = 0; i < reader->segment_count; i++) {
		const Elf64_Phdr *segment = &reader->segments[i];

		if (segment->p_type == PT_LOAD && address >= segment->p_vaddr &&
		    address - segment->p_vaddr < segment->p_filesz)
			return segment->p_offset + (address - segment->p_vaddr);
	}
	return 0;
}

static int read_segments(struct reader *reader)
{
	size_t size = reader->binary->is_wide ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
	size_t count = reader->header.e_phnum;
	char *bytes;

	if (count > SEGMENTS_MAX)
		return -ENOEXEC;
	bytes = read_part(reader->file, reader->header.e_phoff, count * size);
	if (!bytes)
		return -ENOEXEC;
	for (size_t i = 0; i < count; i++)
		reader->segments[i] = segment_of(reader, bytes, i);
	reader->segment_count = count;
	free(bytes);
	return 0;
}

static const Elf64_Phdr *find_segment(const struct reader *reader, uint32_t type)
{
	for (size_t i = 0; i < reader->segment_count; i++)
		if (reader->segments[i].p_type == type)
			return &reader->segments[i];
	return NULL;
}

/* preload/version.c: a header of three numbers, and "shmemu". */
static void take_note(struct reader *reader, const Elf64_Phdr *segment)
{
	static const char name[8] = "shmemu";
	struct binary *binary = reader->binary;
	size_t size = segment->p_filesz;
	char *bytes = size && size <= NOTES_MAX ? read_part(reader->file, segment->p_offset, size)
	                                        : NULL;
	size_t least = sizeof(Elf64_Nhdr) + sizeof name + BINARY_VERSION_SIZE;

	for (size_t at = 0; bytes && at + least <= size; at += sizeof(uint32_t)) {
		Elf64_Nhdr note;

		memcpy(&note, bytes + at, sizeof note);
		if (note.n_namesz != sizeof "shmemu" || note.n_descsz != BINARY_VERSION_SIZE ||
		    memcmp(bytes + at + sizeof note, name, sizeof name) != 0)
			continue;
		binary->protocol = note.n_type;
		memcpy(binary->version, bytes + at + sizeof note + sizeof name,
		       BINARY_VERSION_SIZE - 1);
	}
	free(bytes);
}

static const char *string_at(const struct reader *reader, uint64_t offset)
{
	return offset < reader->strings_size ? reader->binary->strings + offset : NULL;
}

/* The names come first: what the rest says are offsets into them. */
static void read_strings(struct reader *reader, const char *bytes, size_t count)
{
	uint64_t address = 0;
	uint64_t size = 0;

	for (size_t i = 0; i < count; i++) {
		Elf64_Dyn dynamic = dynamic_of(reader, bytes, i);

		switch (dynamic.d_tag) {
		case DT_NULL: i = count - 1; break;
		case DT_STRTAB: address = dynamic.d_un.d_val; break;
		case DT_STRSZ: size = dynamic.d_un.d_val; break;
		case DT_SYMTAB: reader->symbols = dynamic.d_un.d_val; break;
		case DT_HASH: reader->hash = dynamic.d_un.d_val; break;
		}
	}
	if (size == 0 || size > STRINGS_MAX || !offset_of(reader, address))
		return;
	reader->binary->strings = read_part(reader->file, offset_of(reader, address), size);
	reader->strings_size = reader->binary->strings ? size : 0;
}

static void take_names(struct reader *reader, const char *bytes, size_t count)
{
	struct binary *binary = reader->binary;

	for (size_t i = 0; i < count; i++) {
		Elf64_Dyn dynamic = dynamic_of(reader, bytes, i);
		const char *name = string_at(reader, dynamic.d_un.d_val);

		if (dynamic.d_tag == DT_NULL)
			return;
		if (dynamic.d_tag == DT_SONAME)
			binary->soname = name;
		else if (dynamic.d_tag == DT_RUNPATH ||
		         (dynamic.d_tag == DT_RPATH && !binary->runpath))
			binary->runpath = name;
		else if (dynamic.d_tag == DT_NEEDED && name &&
		         binary->needed_count < BINARY_NEEDED_MAX)
			binary->needed[binary->needed_count++] = name;
	}
}

static void read_dynamic(struct reader *reader, const Elf64_Phdr *segment)
{
	size_t size = reader->binary->is_wide ? sizeof(Elf64_Dyn) : sizeof(Elf32_Dyn);
	size_t count = segment->p_filesz / size;
	char *bytes = NULL;

	if (count <= DYNAMIC_MAX)
		bytes = read_part(reader->file, segment->p_offset, count * size);
	if (!bytes)
		return;
	read_strings(reader, bytes, count);
	take_names(reader, bytes, count);
	free(bytes);
}

/* Sections say it, where there are any; else a table for looking symbols up, if it is the old one.
 */
static size_t count_symbols(const struct reader *reader)
{
	bool is_wide = reader->binary->is_wide;
	size_t size = is_wide ? sizeof(Elf64_Shdr) : sizeof(Elf32_Shdr);
	size_t count = reader->header.e_shoff ? reader->header.e_shnum : 0;
	char *bytes = count && count <= SECTIONS_MAX ?
		read_part(reader->file, reader->header.e_shoff, count * size) : NULL;
	uint64_t found = 0;
	uint32_t chains[2];

	for (size_t i = 0; bytes && i < count; i++) {
		Elf64_Shdr section = section_of(reader, bytes, i);

		if (section.sh_type == SHT_DYNSYM)
			found = section.sh_size / (is_wide ? sizeof(Elf64_Sym) : sizeof(Elf32_Sym));
	}
	free(bytes);
	if (!found && reader->hash && offset_of(reader, reader->hash) &&
	    pread(reader->file, chains, sizeof chains,
	          (off_t)offset_of(reader, reader->hash)) == sizeof chains)
		found = chains[1];
	return found <= SYMBOLS_MAX ? found : 0;
}

static void read_imports(struct reader *reader)
{
	size_t size = reader->binary->is_wide ? sizeof(Elf64_Sym) : sizeof(Elf32_Sym);
	size_t count = reader->strings_size ? count_symbols(reader) : 0;
	uint64_t offset = offset_of(reader, reader->symbols);
	char *bytes = count && offset ? read_part(reader->file, offset, count * size) : NULL;
	struct binary *binary = reader->binary;

	if (bytes)
		binary->imports = calloc(count, sizeof *binary->imports);
	for (size_t i = 0; binary->imports && i < count; i++) {
		const char *name = import_of(reader, bytes, i);

		if (name)
			binary->imports[binary->import_count++] = name;
	}
	free(bytes);
}

static int read_all(struct reader *reader)
{
	const Elf64_Phdr *segment;
	int result = read_segments(reader);

	if (result < 0)
		return result;
	segment = find_segment(reader, PT_INTERP);
	if (segment && segment->p_filesz && segment->p_filesz <= INTERPRETER_MAX)
		reader->binary->interpreter = read_part(reader->file, segment->p_offset,
		                                        segment->p_filesz);
	for (size_t i = 0; i < reader->segment_count; i++)
		if (reader->segments[i].p_type == PT_NOTE)
			take_note(reader, &reader->segments[i]);
	segment = find_segment(reader, PT_DYNAMIC);
	if (segment)
		read_dynamic(reader, segment);
	read_imports(reader);
	return 0;
}

int binary_read(int file, struct binary *ret_binary)
{
	const unsigned char native = BYTE_ORDER == LITTLE_ENDIAN ? ELFDATA2LSB : ELFDATA2MSB;
	struct reader *reader = calloc(1, sizeof *reader);
	struct binary binary = BINARY_NULL;
	char bytes[sizeof(Elf64_Ehdr)] = "";
	ssize_t size = pread(file, bytes, sizeof bytes, 0);
	int result = 0;

	if (!reader || size < (ssize_t)sizeof(Elf32_Ehdr) || memcmp(bytes, ELFMAG, SELFMAG) != 0) {
		free(reader);
		return !reader ? -ENOMEM : size < 0 ? -errno : -ENOEXEC;
	}
	reader->file = file;
	reader->binary = &binary;
	binary.is_wide = bytes[EI_CLASS] == ELFCLASS64;
	binary.is_foreign = (unsigned char)bytes[EI_DATA] != native;
	reader->header = header_of(reader, bytes);
	binary.type = reader->header.e_type;
	binary.machine = reader->header.e_machine;
	if (binary.is_foreign)
		binary.machine = (uint16_t)(binary.machine << 8 | binary.machine >> 8);
	else
		result = read_all(reader);
	free(reader);
	if (result < 0)
		binary_deinit(&binary);
	else
		*ret_binary = binary;
	return result;
}

void binary_deinit(struct binary *binary)
{
	free(binary->interpreter);
	free(binary->imports);
	free(binary->strings);
	*binary = BINARY_NULL;
}

bool binary_imports(const struct binary *binary, const char *name)
{
	for (size_t i = 0; i < binary->import_count; i++)
		if (strcmp(binary->imports[i], name) == 0)
			return true;
	return false;
}

const char *binary_machine(const struct binary *binary)
{
	static const struct {
		uint16_t machine;
		const char *name;
	} names[] = {
		{EM_X86_64, "x86_64"}, {EM_386, "i386"}, {EM_AARCH64, "aarch64"}, {EM_ARM, "arm"},
		{EM_RISCV, "riscv"}, {EM_PPC64, "ppc64"}, {EM_PPC, "ppc"}, {EM_S390, "s390"},
		{EM_MIPS, "mips"}, {EM_LOONGARCH, "loongarch"}, {EM_SPARCV9, "sparc"},
	};

	/* The third ABI of that machine: addresses of 32 bits. */
	if (binary->machine == EM_X86_64 && !binary->is_wide)
		return "x32";
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (names[i].machine == binary->machine)
			return names[i].name;
	return "another machine";
}
