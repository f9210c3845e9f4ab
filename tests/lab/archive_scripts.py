"""What the tests of the archive run on its hosts, as root."""

from __future__ import annotations

# Every file but the lock of a run: what pgBackRest encrypts begins with these eight letters.
READABLE = r"""
find /var/lib/pgbackrest -type f -size +0 | while read -r file; do
  [ "$(head -c 8 "$file")" = Salted__ ] || echo "$file"
done
"""
# The agent runs the scratch cluster as its own child; the loop ends when there is one.
KILL = r"""
until scratch=$(pgrep -o -f '^/usr/lib/postgresql/15/bin/postgres -D .*changeover-scratch'); do sleep 0.02; done
kill -9 "$(ps -o ppid= -p "$scratch" | tr -d ' ')"
while kill -0 "$scratch" 2>/dev/null; do sleep 0.02; done
pgrep -c -f '^/usr/lib/postgresql/15/bin/postgres -D .*changeover-scratch'; ls /var/lib/postgresql/15
"""

HOLD = r"""
systemctl start --no-block changeover-physical@full
until [ -s /var/lib/pgbackrest/lock/main-backup.lock ]; do sleep 0.02; done
kill -STOP "$(systemctl show --property=MainPID --value changeover-physical@full)"
"""
LET_GO = r"""
kill -CONT "$(systemctl show --property=MainPID --value changeover-physical@full)"
while [ "$(systemctl is-active changeover-physical@full)" = activating ]; do sleep 0.05; done
"""
# One file of the log is let go of, and the next one arrives.
DROP = r"""
set -e
cd /
archived() { runuser -u postgres -- psql -qAt -c 'SELECT last_archived_wal FROM pg_stat_archiver'; }
push() {
  # of a file in which nothing stands yet there is no end
  runuser -u postgres -- psql -qAt -c "SELECT pg_logical_emit_message(true, 'file', 'one')" >/dev/null
  file=$(runuser -u postgres -- psql -qAt -c 'SELECT pg_walfile_name(pg_switch_wal())')
  until expr "$(archived)" '>=' "$file" >/dev/null; do sleep 0.05; done
}
push
sed -i.good 's/^archive-push-queue-max=.*/archive-push-queue-max=1/' /etc/pgbackrest.conf
push
mv /etc/pgbackrest.conf.good /etc/pgbackrest.conf
push
"""
# A row that is archived, one that is not, and then nothing but an empty cluster in its place.
LOSE = r"""
set -e
cd /
runuser -u postgres -- psql -qAt -c "SELECT pg_logical_emit_message(true, 'file', 'last')" >/dev/null
last=$(runuser -u postgres -- psql -qAt -c 'SELECT pg_walfile_name(pg_switch_wal())')
until expr "$(runuser -u postgres -- psql -qAt -c 'SELECT last_archived_wal FROM pg_stat_archiver')" '>=' "$last" >/dev/null
do sleep 0.05; done
mv /etc/pgbackrest.conf /etc/pgbackrest.conf.away
runuser -u postgres -- psql -q nox_api -c "INSERT INTO users (id, email) VALUES (gen_random_uuid(), 'late@rows.test')"
systemctl kill --signal=KILL postgresql@15-main
systemctl stop postgresql@15-main
rm -rf /var/lib/postgresql/15/main /var/backups/changeover/*
mv /etc/pgbackrest.conf.away /etc/pgbackrest.conf
runuser -u postgres -- /usr/lib/postgresql/15/bin/initdb --pgdata=/var/lib/postgresql/15/main --encoding=UTF8 --locale=C.UTF-8 >/dev/null
systemctl reset-failed postgresql@15-main
systemctl start postgresql@15-main
"""
