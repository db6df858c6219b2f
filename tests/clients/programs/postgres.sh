#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# postgres.sh BIN FOLDER: a PostgreSQL server in that folder, its shared memory for parallel queries by shm_open;
# pgbench, and a hash join whose table, of 120 MB, five processes share. No TCP.
set -euo pipefail
bin=$1
folder=$2
"$bin/initdb" -D "$folder/data" -A trust -U postgres -N >"$folder/initdb" 2>&1 || { cat "$folder/initdb" >&2; exit 1; }
grep 'selecting dynamic' "$folder/initdb"
cat >>"$folder/data/postgresql.conf" <<EOT
listen_addresses = ''
unix_socket_directories = '$folder'
dynamic_shared_memory_type = posix
shared_buffers = 32MB
fsync = off
max_parallel_workers_per_gather = 4
max_parallel_workers = 8
parallel_setup_cost = 0
parallel_tuple_cost = 0
min_parallel_table_scan_size = 0
work_mem = 200MB
hash_mem_multiplier = 4
EOT
"$bin/pg_ctl" -D "$folder/data" -l "$folder/log" -w start >/dev/null || { cat "$folder/log" >&2; exit 1; }
stop() {
	"$bin/pg_ctl" -D "$folder/data" -m fast -w stop >/dev/null
}
trap stop EXIT

options=(-h "$folder" -U postgres)
"$bin/pgbench" "${options[@]}" -i -s 1 -q postgres >/dev/null 2>&1
"$bin/pgbench" "${options[@]}" -c 2 -t 500 postgres 2>/dev/null | grep -E '^(tps|number of trans)'
"$bin/psql" "${options[@]}" -X -q -A -t -v ON_ERROR_STOP=1 <<'EOT'
create table t as select i, i % 1000 as k, md5(i::text) as v from generate_series(1, 1500000) i;
analyze t;
explain (analyze, costs off) select count(*) from t a join t b using (i) where a.v = b.v;
select 'joined ' || count(*) from t a join t b using (i) where a.v = b.v;
EOT
