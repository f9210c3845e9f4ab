# Make the stanza where there is none, see one file of the log arrive in the repository, and take the first backup:
# before that there is nothing to recover from.
set -eu
stanza="$1" path="$2"
there=no
[ -e "$path/archive/$stanza/archive.info" ] && there=yes
for command in stanza-create check; do
    if ! said=$(runuser -u postgres -- pgbackrest --stanza="$stanza" --log-level-console=error "$command" 2>&1); then
        # with another passphrase it quotes what it took for text
        printf '%s\n' "$said" | LC_ALL=C tr -cd '[:print:]\n' >&2
        case "$said" in *"[028]"*)
            echo "The repository is another cluster's: after the loss of a host, of the one that was there. Restore that" \
                "one from it, as docs/backups-and-the-way-back.md says, then provision again. Never stanza-upgrade." >&2 ;;
        esac
        exit 1
    fi
done
if ! runuser -u postgres -- pgbackrest --stanza="$stanza" --output=json info | grep -q '"label"'; then
    systemctl start changeover-physical@full.service
    there=no
fi
[ "$there" = yes ] || echo made
