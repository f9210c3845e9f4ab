# End timers that are not wanted here any more: without their files they would stay enabled.
set -eu
timers="$1" units="$2"
for timer in $timers; do
    if [ -e "$units/$timer" ] || [ -L "$units/timers.target.wants/$timer" ]; then
        systemctl --quiet disable --now "$timer"
        echo "$timer"
    fi
done
