# Reload HAProxy and see that a new worker serves: its own reload reports success either way.
set -eu
workers() { pgrep --parent "$(cat /run/haproxy.pid)" | sort; }

if ! systemctl is-active --quiet haproxy; then
    exec systemctl start haproxy
fi
before=$(workers)
began=$(date +%s)
systemctl reload haproxy
for _ in $(seq 50); do
    for worker in $(workers); do
        case " $(echo $before) " in
        *" $worker "*) ;;
        *) exit 0 ;;
        esac
    done
    sleep 0.1
done
journalctl --unit haproxy --since "@$began" --output cat --no-pager >&2
exit 1
