/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/traced.h"

const struct traced_call traced_calls[TRACED_CALLS] = {
#define TRACED(type, name, parameters, arguments, kind, letters) {#name, letters, TRACED_##kind},
#define TRACED_BY_HAND(name, kind, letters) {#name, letters, TRACED_##kind},
#define TRACED_SAME(name, as)
#include "base/traced.def"
};
