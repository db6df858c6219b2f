/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An array in the order of addresses. What is emulated may be mapped twice at one place, and then
 * is a piece that counts twice. */
#include "preload/attach.h"

#include <string.h>

#include "base/sys.h"
#include "preload/ask_ipc.h"
#include "preload/host.h"
#include "preload/presence.h"

enum { COUNT_FIRST = 64, SPARE = 8 };

struct piece {
	uintptr_t start;
	size_t length;
	size_t offset;     /* in the segment */
	int protection;
	unsigned times;    /* 0: it is gone, and the daemon has not been told yet */
	bool is_new;       /* likewise, of what is more or less than it was */
	uint64_t number;   /* of the shmat that it comes from */
	struct attachment of;
};

atomic_uintptr_t attach_from, attach_to;

static struct {
	struct piece *pieces;
	size_t count, room;
	uint64_t numbers; /* given */
} table;

int attach_reserve(void)
{
	size_t room = table.room ? table.room * 2 : COUNT_FIRST;
	struct piece *pieces;

	if (table.count + SPARE <= table.room)
		return 0;
	pieces = host_take(room * sizeof *pieces);
	if (!pieces)
		return -ENOMEM;
	if (table.pieces) {
		memcpy(pieces, table.pieces, table.count * sizeof *pieces);
		sys_give(table.pieces, table.room * sizeof *pieces);
	}
	table.pieces = pieces;
	table.room = room;
	return 0;
}

static uintptr_t piece_end(const struct piece *piece)
{
	return piece->start + piece->length;
}

static void set_bounds(void)
{
	uintptr_t from = UINTPTR_MAX, to = 0;

	for (size_t i = 0; i < table.count; i++) {
		if (table.pieces[i].start < from)
			from = table.pieces[i].start;
		if (piece_end(&table.pieces[i]) > to)
			to = piece_end(&table.pieces[i]);
	}
	atomic_store(&attach_from, to ? from : 0);
	atomic_store(&attach_to, to);
}

static size_t place_of(uintptr_t start)
{
	size_t at = 0;

	while (at < table.count && table.pieces[at].start < start)
		at++;
	return at;
}

static void insert(const struct piece *piece)
{
	size_t at = place_of(piece->start);

	memmove(&table.pieces[at + 1], &table.pieces[at],
	        (table.count - at) * sizeof *table.pieces);
	table.pieces[at] = *piece;
	table.pieces[at].is_new = true;
	table.count++;
	set_bounds();
}

/* The piece that an address is in, or NULL. */
static struct piece *find(uintptr_t address)
{
	for (size_t i = 0; i < table.count; i++) {
		struct piece *piece = &table.pieces[i];

		if (piece->times && piece->start <= address && piece_end(piece) > address)
			return piece;
	}
	return NULL;
}

void attach_add(const struct attachment *attachment, uintptr_t address)
{
	struct piece *there = find(address);

	if (there && there->start == address && there->length == attachment->size &&
	    there->of.id == attachment->id && there->of.presence == attachment->presence) {
		there->times++;
		return;
	}
	insert(&(struct piece){
		.start = address,
		.length = attachment->size,
		.times = 1,
		.protection = attachment->protection,
		.number = ++table.numbers,
		.of = *attachment,
	});
	/* The daemon has counted it. */
	find(address)->is_new = false;
}

static bool is_as_attached(const struct piece *piece, uintptr_t address)
{
	return piece->times && piece->start - address == piece->offset;
}

bool attach_find(uintptr_t address, struct attach_cursor *cursor, struct range *ret_range)
{
	for (size_t i = 0; i < table.count; i++) {
		const struct piece *piece = &table.pieces[i];

		if (!is_as_attached(piece, address) || piece->start < cursor->next)
			continue;
		if (cursor->number && (piece->number != cursor->number ||
		                       piece_end(piece) - address > cursor->size))
			continue;
		*ret_range = (struct range){piece->start, piece->length};
		*cursor = (struct attach_cursor){piece->number, piece_end(piece), piece->of.size};
		return true;
	}
	return false;
}

static void cut_at(uintptr_t address)
{
	struct piece *piece = find(address);
	struct piece rest;
	size_t kept;

	if (!piece || piece->start == address)
		return;
	kept = address - piece->start;
	rest = *piece;
	rest.start = address;
	rest.length -= kept;
	rest.offset += kept;
	piece->length = kept;
	piece->is_new = true;
	insert(&rest);
}

void attach_cut(const struct range *range)
{
	cut_at(range->start);
	cut_at(range_end(range));
	for (size_t i = 0; i < table.count; i++) {
		struct piece *piece = &table.pieces[i];

		if (!piece->times || piece->start < range->start ||
		    piece->start >= range_end(range))
			continue;
		piece->times--;
		piece->is_new = true;
	}
}

bool attach_may_write(const struct range *range)
{
	for (size_t i = 0; i < table.count; i++) {
		const struct piece *piece = &table.pieces[i];

		if (piece->times && !piece->of.may_write && piece->start < range_end(range) &&
		    piece_end(piece) > range->start)
			return false;
	}
	return true;
}

void attach_protect(const struct range *range, int protection)
{
	for (size_t i = 0; i < table.count && attach_reserve() == 0;) {
		struct piece *piece = &table.pieces[i];
		uintptr_t from = piece->start > range->start ? piece->start : range->start;

		if (!piece->times || piece_end(piece) <= from || from >= range_end(range) ||
		    piece->protection == protection) {
			i++;
			continue;
		}
		cut_at(from);
		cut_at(range_end(range));
		find(from)->protection = protection;
	}
}

void attach_moved(const struct range *old, const struct range *new, bool is_left)
{
	struct range tail = {range_end(new), old->length - new->length};
	struct piece *there = find(old->start), *last;
	struct piece moved;

	if (new->start == old->start) {
		last = old->length ? find(range_end(old) - 1) : NULL;
		if (new->length < old->length)
			attach_cut(&tail);
		else if (last)
			last->length += new->length - old->length;
		set_bounds();
		return;
	}
	if (there)
		moved = *there;
	attach_cut(new);
	if (!is_left)
		attach_cut(old);
	if (!there)
		return;
	moved.offset += old->start - moved.start;
	moved.start = new->start;
	moved.length = new->length;
	moved.times = 1;
	insert(&moved);
}

bool attach_of(uintptr_t address, struct attachment *ret_attachment)
{
	const struct piece *piece = find(address);

	if (piece)
		*ret_attachment = piece->of;
	return piece;
}

void attach_shifted(const struct range *range, size_t offset)
{
	struct piece shifted = *find(range->start);

	attach_cut(range);
	shifted.start = range->start;
	shifted.length = range->length;
	shifted.offset = offset;
	shifted.times = 1;
	insert(&shifted);
}

unsigned attach_count_in(const struct attachment *of, const struct range *range)
{
	unsigned pieces = 0;

	for (size_t i = 0; i < table.count; i++) {
		const struct piece *piece = &table.pieces[i];

		if (piece->of.id == of->id && piece->of.presence == of->presence &&
		    piece->start >= range->start && piece_end(piece) <= range_end(range))
			pieces += piece->times;
	}
	return pieces;
}

static unsigned count(const struct attachment *of)
{
	return attach_count_in(of, &(struct range){0, UINTPTR_MAX});
}

void attach_tell_of(const struct attachment *attachment)
{
	struct client_ipc call = client_ipc_make(WIRE_SHM_COUNT);

	/* Another daemon's segments are none of this one's. */
	if (!presence_is(attachment->presence, &call.asked.presence))
		return;
	call.asked.id = attachment->id;
	call.asked.number = (int32_t)count(attachment);
	ask_ipc(&call, CLIENT_PATIENT, false);
}

static void forget_gone(void)
{
	size_t left = 0;

	for (size_t i = 0; i < table.count; i++)
		if (table.pieces[i].times)
			table.pieces[left++] = table.pieces[i];
	table.count = left;
	set_bounds();
}

void attach_tell(void)
{
	for (size_t i = 0; i < table.count; i++) {
		const struct attachment *of = &table.pieces[i].of;

		if (!table.pieces[i].is_new)
			continue;
		attach_tell_of(of);
		for (size_t k = i; k < table.count; k++)
			if (table.pieces[k].of.id == of->id &&
			    table.pieces[k].of.presence == of->presence)
				table.pieces[k].is_new = false;
	}
	forget_gone();
}

void attach_renumber(uint64_t parents, uint64_t own)
{
	for (size_t i = 0; i < table.count; i++)
		if (table.pieces[i].of.presence == parents)
			table.pieces[i].of.presence = own;
}
