#!/usr/bin/env bash
# postgres_sysv.sh BIN FOLDER: a server with its shared memory from System V, of which a backend and the postmaster are
# killed, and of which a second one must not start: it is told by the attachments of the first one's segment alone.
set -eu
bin=$1
data=$2/data
unset LC_ALL
trap '[ ! -f "$data/postmaster.pid" ] || kill -9 $(head -1 "$data/postmaster.pid") 2>/dev/null; tail -5 "$2/log"' ERR

"$bin/initdb" -D "$data" -U me -A trust --no-sync -c shared_memory_type=sysv >initdb.log 2>&1 ||
	"$bin/initdb" -D "$data" -U me -A trust --no-sync >initdb.log 2>&1 || { cat initdb.log; exit 1; }
cat >>"$data/postgresql.conf" <<EOT
shared_memory_type = sysv
dynamic_shared_memory_type = sysv
shared_buffers = 16MB
max_connections = 20
listen_addresses = ''
unix_socket_directories = '$2'
fsync = off
restart_after_crash = on
EOT
start() { "$bin/pg_ctl" -D "$data" -l "$2/log" -w -t 60 start >/dev/null || { cat "$2/log"; return 1; }; }
sql() { "$bin/psql" -X -q -A -t -h "$folder" -U me -d postgres -c "$1"; }
folder=$2
say() { echo "== $*"; }

start "$@"
sql 'create table t as select generate_series(1, 1000) as i' 
say "rows $(sql 'select count(*) from t')"

sql 'select pg_sleep(60)' >/dev/null 2>&1 &
sleeper=$!
for i in $(seq 300); do
	backend=$(sql "select pid from pg_stat_activity where query like '%pg_sleep(60)%' and pid <> pg_backend_pid()")
	[ -z "$backend" ] || break
	sleep 0.1
done
kill -9 "$backend"
! wait $sleeper
say "a backend was killed"
for i in $(seq 300); do
	sql 'select 1' >/dev/null 2>&1 && break
	sleep 0.1
done
say "rows $(sql 'select count(*) from t')"

! "$bin/postgres" -D "$data" >second 2>&1
grep -q 'lock file "postmaster.pid" already exists' second || cat second
say "a second one: $(grep -o 'lock file' second | head -1)"
# As an administrator does who should not.
cp "$data/postmaster.pid" saved
sed -i '1s/.*/999999/' "$data/postmaster.pid"
! "$bin/postgres" -D "$data" >second 2>&1
cp saved "$data/postmaster.pid"
grep -q 'still in use' second || cat second
say "a second one, no lock file: $(grep -o 'still in use' second | head -1)"

sql 'insert into t values (1001)'
postmaster=$(head -1 "$data/postmaster.pid")
kill -9 "$postmaster"
say "the postmaster was killed"
# Its children notice, and go: only then may another one start.
for i in $(seq 300); do
	"$bin/pg_ctl" -D "$data" -l "$2/log" -w -t 60 start >/dev/null 2>&1 && break
	sleep 0.2
done
say "rows $(sql 'select count(*) from t')"
"$bin/pg_ctl" -D "$data" -w -m fast stop >/dev/null
say stopped
