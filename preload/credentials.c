/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A process that becomes another user's, or a child that does: each of its calls on System V's
 * objects is judged by who it is then, and so is what it may have as memory. */
#include "preload/boot.h"
#include "preload/export.h"
#include "preload/lanes.h"
#include "preload/real.h"
#include "preload/shared.h"

/* What was asked for as who the process was goes first, and what another thread has asked for so
 * meanwhile goes after. */
static void begin(void)
{
	if (!boot_is_borrowed())
		lanes_forget_all();
}

/* A child of vfork has its parent's memory, which has not changed. */
static int done(int result)
{
	if (result == 0 && !boot_is_borrowed()) {
		lanes_forget_all();
		shared_forget_all();
	}
	return result;
}

EXPORT int setuid(uid_t uid)
{
	begin();
	return done(REAL(setuid)(uid));
}

EXPORT int seteuid(uid_t effective)
{
	begin();
	return done(REAL(seteuid)(effective));
}

EXPORT int setreuid(uid_t uid, uid_t effective)
{
	begin();
	return done(REAL(setreuid)(uid, effective));
}

EXPORT int setresuid(uid_t uid, uid_t effective, uid_t saved)
{
	begin();
	return done(REAL(setresuid)(uid, effective, saved));
}

EXPORT int setgid(gid_t gid)
{
	begin();
	return done(REAL(setgid)(gid));
}

EXPORT int setegid(gid_t effective)
{
	begin();
	return done(REAL(setegid)(effective));
}

EXPORT int setregid(gid_t gid, gid_t effective)
{
	begin();
	return done(REAL(setregid)(gid, effective));
}

EXPORT int setresgid(gid_t gid, gid_t effective, gid_t saved)
{
	begin();
	return done(REAL(setresgid)(gid, effective, saved));
}

EXPORT int setgroups(size_t count, const gid_t *groups)
{
	begin();
	return done(REAL(setgroups)(count, groups));
}

EXPORT int initgroups(const char *name, gid_t gid)
{
	begin();
	return done(REAL(initgroups)(name, gid));
}
