#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""shmemu doctor: TAP on standard output.

Aim: what it says of a host, of a program and of a process is so, on hosts that lack things too; its exit
status can be relied on; its screens are clean. Method: what it says works, or fails, is done by programs of
other making, with and without the library. All cases run as whoever starts this, and, if that is root,
again as uid 65534. SHMEMU_PREFIX is the folder that has bin/shmemu, bin/shmfs and the library; all users
must be able to read it.
"""

import sys

sys.dont_write_bytecode = True
import cli_doctor  # noqa: F401, the imports are what adds the cases
import cli_doctor_programs  # noqa: F401
import cli_doctor_screens  # noqa: F401
import cli_doctor_truth  # noqa: F401
from cli_perform import perform

perform("cli_doctor")
