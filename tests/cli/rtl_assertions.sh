#!/bin/bash
# The tests of the Verilog MMU once more on the model whose assertions are on. NTMMU_PRESET_DIR holds tiny.assert.so
# (default build/presets), ../tests beside it rtl_test.
set -euo pipefail
cd "$(dirname "$0")/../.."
presets=${NTMMU_PRESET_DIR:-build/presets}
NTMMU_RTL_SO=$presets/tiny.assert.so exec "$presets/../tests/rtl_test" --gtest_brief=1
