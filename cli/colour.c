/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/colour.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/say.h"

enum { AUTO, ALWAYS, NEVER };

const char *const colour_whens[] = {[AUTO] = "auto", [ALWAYS] = "always", [NEVER] = "never", NULL};

/* An empty NO_COLOR is none: no-color.org. */
static bool terminal_has_colours(void)
{
	const char *refused = getenv("NO_COLOR");
	const char *terminal = getenv("TERM");

	return isatty(STDOUT_FILENO) && !(refused && *refused) && terminal && *terminal &&
	       strcmp(terminal, "dumb") != 0;
}

bool colour_is_wanted(const char *when)
{
	size_t i = 0;

	while (when && colour_whens[i] && strcmp(when, colour_whens[i]) != 0)
		i++;
	if (!colour_whens[i])
		fail("--color is auto, always or never, not '%s'", when);
	return i == ALWAYS || (i == AUTO && terminal_has_colours());
}

const char *colour_sequence(enum colour colour)
{
	static const char *const sequences[] = {
		[COLOUR_GOOD] = "\033[32m", [COLOUR_WARN] = "\033[33m", [COLOUR_BAD] = "\033[31m",
		[COLOUR_DIM] = "\033[2m", [COLOUR_BOLD] = "\033[1m",
	};

	return sequences[colour];
}
