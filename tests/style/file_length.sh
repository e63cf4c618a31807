#!/usr/bin/env bash
# A file in rtl/ stays under 400 lines, one in csrc/ under 800: longer ones do more than one thing.
set -euo pipefail
status=0
while read -r file; do
    limit=800
    if [[ $file == rtl/* ]]; then limit=400; fi
    lines=$(wc -l <"$file")
    if ((lines >= limit)); then
        echo "$file: found $lines lines, expected fewer than $limit"
        status=1
    fi
done < <(find rtl csrc -name '*.sv' -o -name '*.svh' -o -name '*.c' -o -name '*.h')
exit $status
