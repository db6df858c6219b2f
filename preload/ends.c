/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where a process ends, or another begins: what it wrote to emulated mappings goes out before. */
#include <stdlib.h>
#include <unistd.h>

#include "preload/export.h"
#include "preload/points.h"
#include "preload/real.h"

/* After the program's own; and before libc writes out what is in its buffers, which may tell. */
__attribute__((destructor)) static void at_exit(void)
{
	points_tell();
}

/* quick_exit runs what was there first last. */
__attribute__((constructor)) static void watch_quick_exit(void)
{
	at_quick_exit(at_exit);
}

EXPORT _Noreturn void _exit(int status)
{
	points_tell();
	REAL(_exit)(status);
	__builtin_unreachable();
}

EXPORT _Noreturn void _Exit(int status)
{
	points_tell();
	REAL(_Exit)(status);
	__builtin_unreachable();
}

EXPORT void sync(void)
{
	points_tell();
	REAL(sync)();
	points_hear();
}

/* A child of vfork has its parent's memory, so its parent releases for it. It returns twice, and in
 * between the stack is another's: no function that has a frame there can call it. So this one says
 * where it is, and is called by a few instructions that then jump there. */
__attribute__((used)) static pid_t (*before_vfork(void))(void)
{
	points_tell();
	return REAL(vfork);
}

#if defined(__x86_64__)
__asm__(".pushsection .text\n"
        ".globl vfork\n.type vfork, @function\nvfork:\n"
        ".globl __vfork\n.type __vfork, @function\n__vfork:\n"
        ".cfi_startproc\n"
        "endbr64\n"
        "subq $8, %rsp\n.cfi_adjust_cfa_offset 8\n"
        "call before_vfork\n"
        "addq $8, %rsp\n.cfi_adjust_cfa_offset -8\n"
        "jmp *%rax\n"
        ".cfi_endproc\n"
        ".size vfork, .-vfork\n.size __vfork, .-__vfork\n"
        ".popsection\n");
#elif defined(__i386__)
__asm__(".pushsection .text\n"
        ".globl vfork\n.type vfork, @function\nvfork:\n"
        ".globl __vfork\n.type __vfork, @function\n__vfork:\n"
        ".cfi_startproc\n"
        "endbr32\n"
        "subl $12, %esp\n.cfi_adjust_cfa_offset 12\n"
        "call before_vfork\n"
        "addl $12, %esp\n.cfi_adjust_cfa_offset -12\n"
        "jmp *%eax\n"
        ".cfi_endproc\n"
        ".size vfork, .-vfork\n.size __vfork, .-__vfork\n"
        ".popsection\n");
#elif defined(__aarch64__)
__asm__(".pushsection .text\n"
        ".globl vfork\n.type vfork, %function\nvfork:\n"
        ".globl __vfork\n.type __vfork, %function\n__vfork:\n"
        ".cfi_startproc\n"
        "hint 34\n"
        "stp x29, x30, [sp, -16]!\n.cfi_adjust_cfa_offset 16\n"
        "bl before_vfork\n"
        "ldp x29, x30, [sp], 16\n.cfi_adjust_cfa_offset -16\n"
        "mov x16, x0\n"
        "br x16\n"
        ".cfi_endproc\n"
        ".size vfork, .-vfork\n.size __vfork, .-__vfork\n"
        ".popsection\n");
#else
#error "how does one jump here?"
#endif
