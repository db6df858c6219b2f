/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "preload/taken.h"

__thread unsigned char taken_road;

unsigned char *shmemu_road(void)
{
	return &taken_road;
}
