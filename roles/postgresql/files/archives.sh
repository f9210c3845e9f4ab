# Print the server's archive_mode. Where no server runs none would be restarted: nothing is printed then.
set -eu
running=$(systemctl show --value --property=ActiveState "postgresql@$1-main.service")
if [ "$running" = active ]; then
    cd /
    runuser -u postgres -- psql -XAtq -v ON_ERROR_STOP=1 -d postgres -c "SHOW archive_mode"
fi
