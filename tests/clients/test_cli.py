#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""shmemu, the command: TAP on standard output.

Aim: `without` makes the hosts that it promises, for root and for ordinary users, and takes nothing
from the real one; `run` is invisible but for its report. Method: all cases run as whoever starts
this, and, if that is root, again as uid 65534; after each the host must be as it was before.
SHMEMU_PREFIX is the folder that has bin/shmemu, bin/shmfs and the library; all users must be able
to read it.
"""

import sys

sys.dont_write_bytecode = True
import cli_df  # noqa: F401, the imports are what adds the cases
import cli_dump  # noqa: F401
import cli_huge  # noqa: F401
import cli_idle  # noqa: F401
import cli_ipc  # noqa: F401
import cli_limit  # noqa: F401
import cli_ls  # noqa: F401
import cli_mounted  # noqa: F401
import cli_run  # noqa: F401
import cli_top  # noqa: F401
import cli_withheld  # noqa: F401
import cli_without  # noqa: F401
from cli_perform import perform

perform()
