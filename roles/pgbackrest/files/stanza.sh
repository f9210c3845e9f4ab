# Make the stanza where there is none, and see one file of the log arrive in the repository.
set -eu
stanza="$1" path="$2"
there=no
[ -e "$path/archive/$stanza/archive.info" ] && there=yes
for command in stanza-create check; do
    if ! said=$(runuser -u postgres -- pgbackrest --stanza="$stanza" --log-level-console=error "$command" 2>&1); then
        # with another passphrase it quotes what it took for text
        printf '%s\n' "$said" | LC_ALL=C tr -cd '[:print:]\n' >&2
        exit 1
    fi
done
[ "$there" = yes ] || echo made
