# Make a key for the database's user and a certificate for this host's address; the key stays here.
set -eu
address="$1" directory="$2"
install -d -o root -g postgres -m 0750 "$directory"
umask 077
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -subj "/CN=$address" \
    -keyout "$directory/own.key.new" -out "$directory/own.crt.new" 2>/dev/null
chown postgres:postgres "$directory/own.key.new" "$directory/own.crt.new"
mv "$directory/own.key.new" "$directory/own.key"
mv "$directory/own.crt.new" "$directory/own.crt"
