# Start what pgBackRest has to run anew. A server that is up read its files before they changed.
set -eu
systemctl daemon-reload
for unit in $1; do
    systemctl restart "$unit"
done
