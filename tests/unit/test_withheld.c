/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Words to the shim: what is printed is read again as it was, and what is no word is none. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "base/withheld.h"

static int parse(const char *text, struct withheld *ret_withheld)
{
	return withheld_parse(&text, text + strlen(text), ret_withheld);
}

Test(withheld, printed_and_read_again)
{
	for (int what = 0; what < WITHHELD_COUNT; what++)
		for (int moment = WITHHELD_ALWAYS; moment <= WITHHELD_CHANCE; moment++) {
			struct withheld before = {
				.what = (enum withheld_what)what,
				.moment = (enum withheld_moment)moment,
				.error = what + 1,
				.number = moment == WITHHELD_ALWAYS ? 0 : UINT32_MAX,
				.seed = moment == WITHHELD_CHANCE ? INT64_MAX : 0,
			};
			struct withheld after;
			struct text text = TEXT_NULL;

			withheld_print(&text, &before);
			cr_assert(!text.cut);
			cr_assert_eq(parse(text.bytes, &after), 0, "%s", text.bytes);
			cr_assert_eq(after.what, before.what);
			cr_assert_eq(after.moment, before.moment);
			cr_assert_eq(after.error, before.error);
			cr_assert_eq(after.number, before.number);
			cr_assert_eq(after.seed, before.seed);
		}
}

Test(withheld, a_line_is_read_to_its_end)
{
	static const char line[] = "  msync=5 nonsense munmap=38,nth=2   mmap=12\nmprotect=1";
	static const int results[] = {0, -EINVAL, 0, 0, -ENOENT, -ENOENT};
	const char *text = line;
	struct withheld withheld;

	for (size_t i = 0; i < sizeof results / sizeof results[0]; i++)
		cr_assert_eq(withheld_parse(&text, line + strlen(line), &withheld), results[i]);
	cr_assert_eq(withheld.what, WITHHELD_MMAP);
	cr_assert_eq(*text, '\n');
}

Test(withheld, what_is_no_word)
{
	static const char *const words[] = {
		"msync", "msync=", "msync=x", "msync=0", "msync=4096", "=5", "munma=5", "munmapp=5",
		"msync=5,", "msync=5,after", "msync=5,after=", "msync=5,after=-1", "msync=5,aft=1",
		"msync=5,after=1x", "msync=5,nth=99999999999999999999", "msync=5,after=1,",
		"msync=99999999999999999999",
	};

	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
		struct withheld withheld = {.error = 1};

		cr_assert_eq(parse(words[i], &withheld), -EINVAL, "%s", words[i]);
		cr_assert_eq(withheld.error, 1);
	}
	cr_assert_eq(withheld_find("mmap-filed", 10), -ENOENT);
	cr_assert_eq(withheld_find("mmap-filed", 9), WITHHELD_MMAP_FILE);
}
