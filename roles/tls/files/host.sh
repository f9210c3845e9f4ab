# Keep one certificate on this host: tell whether it is due, make key and request, install the answer.
#   probe|request DIRECTORY RENEW_DAYS "NAME ..."   standard input: the authority's certificate
#   install DIRECTORY DUE                           standard input: the chain, the host's certificate first
#                                                   DUE: a file that names what Nginx has not loaded yet
set -eu
action=$1 directory=$2
certificate=$directory/fullchain.pem key=$directory/privkey.pem
umask 027

why_due() {
    [ -s "$certificate" ] && [ -s "$key" ] || { echo "there is none"; return; }
    openssl x509 -in "$certificate" -noout -checkend $((renew_days * 86400)) >/dev/null || { echo "it ends within $renew_days days"; return; }
    [ "$(openssl x509 -in "$certificate" -noout -pubkey)" = "$(openssl pkey -in "$key" -pubout)" ] || { echo "the key is another"; return; }
    openssl verify -CAfile "$authority" "$certificate" >/dev/null 2>&1 || { echo "the authority is another"; return; }
    for name in $names; do
        openssl x509 -in "$certificate" -noout -checkhost "$name" | grep -q "does match" || { echo "it is not for $name"; return; }
    done
}

case $action in
probe | request)
    renew_days=$3 names=$4
    authority=$(mktemp)
    trap 'rm -f "$authority"' EXIT
    cat >"$authority"
    reason=$(why_due)
    if [ -z "$reason" ]; then
        echo fresh
        exit 0
    fi
    echo "due: $reason"
    if [ "$action" = request ]; then
        openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=${names%% *}" -keyout "$key.new"
        chmod 0640 "$key.new"
    fi
    ;;
install)
    cat >"$certificate.new"
    chmod 0644 "$certificate.new"
    [ "$(openssl x509 -in "$certificate.new" -noout -pubkey)" = "$(openssl pkey -in "$key.new" -pubout)" ]
    sync "$key.new" "$certificate.new"
    (umask 022 && mkdir -p "${3%/*}")
    echo "$certificate" >>"$3"
    mv "$key.new" "$key"
    mv "$certificate.new" "$certificate"
    ;;
esac
