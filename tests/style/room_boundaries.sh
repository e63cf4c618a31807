#!/usr/bin/env bash
# Rooms only look downward: what a folder of csrc/ may include from csrc/include/ntmmu, and nothing of its neighbours.
set -euo pipefail
status=0
allow() { # ROOM HEADER…
    local room=$1
    shift
    local pattern
    pattern="^(room|$(IFS='|' && echo "$*"))$"
    while IFS=: read -r file line header; do
        if ! [[ $header =~ $pattern ]]; then
            echo "$file:$line: found ntmmu/$header.h, expected one of: $*"
            status=1
        fi
    done < <(grep -nHoE '#include "ntmmu/[a-z_]+\.h"' csrc/"$room"/*.[ch] | sed -E 's|#include "ntmmu/([a-z_]+)\.h"|\1|')
}
allow trace output_file types protection event trace trace_index trace_summary import filedata shrink
allow mmu types preset paging mmu mmu_shortcut
allow nt address_space types protection paging event os log os_access pte pfn pfn_transitions wsle status nt_view nt_exports eprocess nt filedata
allow gen types preset paging mmu event trace gen
allow machine types event log mmu mmu_shortcut preset paging os os_access physmem memory_model machine filedata status
if grep -nE '#include "(\.\./|(machine|mmu|nt|trace|check|report|gen|cli)/)' csrc/*/*.[ch]; then
    echo "found an include of a neighbouring room, expected only ntmmu/ headers"
    status=1
fi
exit $status
