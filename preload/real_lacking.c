/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What stands behind a call that libc does not have: make-static gives it those names. Nobody
 * comes here but a program that libc would end, with mq_open(name, O_CREAT) and no more. */
__attribute__((section(".text.real_lacking"))) _Noreturn void real_lacking(void);

_Noreturn void real_lacking(void)
{
	__builtin_trap();
}
