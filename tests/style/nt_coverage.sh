#!/usr/bin/env bash
# Each rule of csrc/nt/README.md is named by a scenario or test, each test names rules that exist, scenarios are named so
# that one finds them: `make coverage-nt` is the long version.
exec "$(dirname "$0")/../nt_coverage.sh" --short
