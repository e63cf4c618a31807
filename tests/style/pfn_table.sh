#!/usr/bin/env bash
exec "$(dirname "$0")/../pfn_table.sh"
