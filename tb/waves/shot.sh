#!/bin/bash
# A picture of a waveform without a screen: opens GTKWave under Xvfb and saves its window.
#   tb/waves/shot.sh FILE.fst FILE.gtkw OUT.png
set -euo pipefail
[ $# -eq 3 ] || { echo "usage: $0 FILE.fst FILE.gtkw OUT.png" >&2; exit 2; }
for file in "$1" "$2"; do
    [ -r "$file" ] || { echo "$file: cannot be read" >&2; exit 2; }
done
for tool in gtkwave xvfb-run import xwininfo; do
    command -v $tool > /dev/null || { echo "$0: $tool is not installed" >&2; exit 2; }
done
log=$(mktemp)
trap 'rm -f "$log"' EXIT
export GTK_THEME=Adwaita
# The window is up when its title is; the waves are drawn a moment later.
xvfb-run -a -s "-screen 0 1520x1080x24" bash -c '
    gtkwave --rcvar "splash_disable on" --rcvar "fontname_signals Monospace 11" --rcvar "fontname_waves Monospace 11" \
        --rcvar "hide_sst on" "$0" "$1" > "$3" 2>&1 &
    viewer=$!
    for i in $(seq 60); do
        sleep 0.5
        xwininfo -root -tree 2> /dev/null | grep -q "GTKWave -" && break
    done
    sleep 3
    import -window root "$2"
    kill $viewer' "$1" "$2" "$3" "$log" || { cat "$log" >&2; exit 1; }
[ -f "$3" ] && [ -s "$3" ] || { echo "$3: no picture was taken" >&2; exit 1; }
