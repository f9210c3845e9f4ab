# Load a changed configuration: refuse one with errors, restart only when a setting needs it.
set -eu
unit="postgresql@$1-main"
ask() { runuser -u postgres -- psql -XAtq -v ON_ERROR_STOP=1 -d postgres -c "$1"; }

systemctl daemon-reload
if ! systemctl is-active --quiet "$unit"; then
    systemctl start "$unit"
fi
errors=$(ask "SELECT sourcefile || ':' || sourceline || ': ' || error FROM pg_file_settings
              WHERE error IS NOT NULL AND error <> 'setting could not be applied'
              UNION ALL SELECT 'pg_hba.conf:' || line_number || ': ' || error FROM pg_hba_file_rules WHERE error IS NOT NULL")
if [ -n "$errors" ]; then
    echo "$errors" >&2
    exit 1
fi
ask "SELECT pg_reload_conf()" >/dev/null
# The postmaster reads the files on a signal; the flag is set once it has.
sleep 0.3
waiting=$(ask "SELECT string_agg(name, ', ' ORDER BY name) FROM pg_settings WHERE pending_restart")
if [ -n "$waiting" ]; then
    systemctl restart "$unit"
    echo "PostgreSQL was restarted, as these settings need it: $waiting"
fi
