/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/shown.h"

#include <string.h>
#include <wchar.h>
#include <wctype.h>

size_t shown_next(const char *text, size_t size, size_t *ret_columns)
{
	mbstate_t state = {0};
	wchar_t wide;
	size_t length = mbrtowc(&wide, text, size, &state);
	int columns;

	*ret_columns = SHOWN_ESCAPE;
	if (length == 0 || length > size || !iswprint((wint_t)wide))
		return 1;
	columns = wcwidth(wide);
	*ret_columns = columns > 0 ? (size_t)columns : 0;
	return length;
}
