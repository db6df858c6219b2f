/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Extended attributes by path. */
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "preload/export.h"
#include "preload/real.h"
#include "preload/way.h"

struct attribute {
	const char *name; /* NULL: all, as a list */
	void *value;
	const void *new_value;
	size_t size;
	int flags;
	int refusal; /* for a user's attribute where there can be none */
};

static long get_natively(const struct errand *errand, int dirfd, const char *path, bool nofollow)
{
	const struct attribute *attribute = errand->details;

	return way_result((nofollow ? REAL(lgetxattr) : REAL(getxattr))(
		path, attribute->name, attribute->value, attribute->size));
}

static long list_natively(const struct errand *errand, int dirfd, const char *path, bool nofollow)
{
	const struct attribute *attribute = errand->details;

	return way_result((nofollow ? REAL(llistxattr) : REAL(listxattr))(
		path, attribute->value, attribute->size));
}

static long set_natively(const struct errand *errand, int dirfd, const char *path, bool nofollow)
{
	const struct attribute *attribute = errand->details;

	return way_result((nofollow ? REAL(lsetxattr) : REAL(setxattr))(
		path, attribute->name, attribute->new_value, attribute->size, attribute->flags));
}

static long remove_natively(const struct errand *errand, int dirfd, const char *path, bool nofollow)
{
	const struct attribute *attribute = errand->details;

	return way_result((nofollow ? REAL(lremovexattr) : REAL(removexattr))(
		path, attribute->name));
}

/* What stands for a link or a device is a regular file, and could have them. */
static bool has_none(const struct wire_stat *told, const char *name)
{
	return !S_ISREG(told->mode) && !S_ISDIR(told->mode) && name &&
	       strncmp(name, "user.", strlen("user.")) == 0;
}

static long attribute_served(const struct errand *errand, struct way *way)
{
	const struct attribute *attribute = errand->details;
	struct wire_stat told;
	long result = way_find(way, errand->nofollow, &told);

	if (result < 0)
		return result;
	return has_none(&told, attribute->name) ? attribute->refusal : way_natively(way, errand);
}

static long emu_get(const char *path, const char *name, void *value, size_t size, bool nofollow)
{
	struct attribute attribute = {
		.name = name, .value = value, .size = size, .refusal = -ENODATA,
	};

	return way_go(AT_FDCWD, path, &(struct errand){
		get_natively, attribute_served, nofollow, &attribute,
	});
}

static long emu_list(const char *path, char *list, size_t size, bool nofollow)
{
	struct attribute attribute = {.value = list, .size = size};

	return way_go(AT_FDCWD, path, &(struct errand){
		list_natively, attribute_served, nofollow, &attribute,
	});
}

static long emu_set(const char *path, bool nofollow, const struct attribute *attribute)
{
	struct attribute copy = *attribute;

	copy.refusal = -EPERM;
	return way_go(AT_FDCWD, path, &(struct errand){
		set_natively, attribute_served, nofollow, &copy,
	});
}

static long emu_remove_attribute(const char *path, const char *name, bool nofollow)
{
	struct attribute attribute = {.name = name, .refusal = -EPERM};

	return way_go(AT_FDCWD, path, &(struct errand){
		remove_natively, attribute_served, nofollow, &attribute,
	});
}

EXPORT ssize_t getxattr(const char *path, const char *name, void *value, size_t size)
{
	if (way_is_foreign(AT_FDCWD, path))
		return REAL(getxattr)(path, name, value, size);
	return export_sized("getxattr", path, emu_get(path, name, value, size, false));
}

EXPORT ssize_t lgetxattr(const char *path, const char *name, void *value, size_t size)
{
	if (way_is_foreign(AT_FDCWD, path))
		return REAL(lgetxattr)(path, name, value, size);
	return export_sized("lgetxattr", path, emu_get(path, name, value, size, true));
}

EXPORT ssize_t listxattr(const char *path, char *list, size_t size)
{
	if (way_is_foreign(AT_FDCWD, path))
		return REAL(listxattr)(path, list, size);
	return export_sized("listxattr", path, emu_list(path, list, size, false));
}

EXPORT ssize_t llistxattr(const char *path, char *list, size_t size)
{
	if (way_is_foreign(AT_FDCWD, path))
		return REAL(llistxattr)(path, list, size);
	return export_sized("llistxattr", path, emu_list(path, list, size, true));
}

EXPORT int setxattr(const char *path, const char *name, const void *value, size_t size, int flags)
{
	struct attribute attribute = {name, NULL, value, size, flags, 0};

	if (way_is_foreign(AT_FDCWD, path))
		return REAL(setxattr)(path, name, value, size, flags);
	return export_named("setxattr", path, emu_set(path, false, &attribute));
}

EXPORT int lsetxattr(const char *path, const char *name, const void *value, size_t size, int flags)
{
	struct attribute attribute = {name, NULL, value, size, flags, 0};

	if (way_is_foreign(AT_FDCWD, path))
		return REAL(lsetxattr)(path, name, value, size, flags);
	return export_named("lsetxattr", path, emu_set(path, true, &attribute));
}

EXPORT int removexattr(const char *path, const char *name)
{
	if (way_is_foreign(AT_FDCWD, path))
		return REAL(removexattr)(path, name);
	return export_named("removexattr", path, emu_remove_attribute(path, name, false));
}

EXPORT int lremovexattr(const char *path, const char *name)
{
	if (way_is_foreign(AT_FDCWD, path))
		return REAL(lremovexattr)(path, name);
	return export_named("lremovexattr", path, emu_remove_attribute(path, name, true));
}
