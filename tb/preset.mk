# The Verilated MMUs: build/presets/NAME.so for rtl/presets/NAME.preset; NAME.assert.so with the assertions on and able to
# write waveforms; NAME.mutate.so with the hand-made bugs of tb/mutants.txt in. Included by the Makefile.

PRESET_SOURCES := $(wildcard rtl/*.sv rtl/*.svh tb/*.c tb/*.cpp tb/*.h tb/*.vlt) tb/exports.map tb/build_preset.sh csrc/mmu/preset.c csrc/include/ntmmu/mmu.h \
    csrc/include/ntmmu/preset.h csrc/include/ntmmu/types.h csrc/include/ntmmu/paging.h $(BUILD)/presets/tools.stamp

.PHONY: lint tools-checked

$(BUILD)/presets/%.so: rtl/presets/%.preset $(PRESET_SOURCES)
	tb/build_preset.sh $< $@

$(BUILD)/presets/%.assert.so: rtl/presets/%.preset $(PRESET_SOURCES)
	tb/build_preset.sh $< $@ --assert

$(BUILD)/presets/%.mutate.so: rtl/presets/%.preset $(PRESET_SOURCES)
	tb/build_preset.sh $< $@ --mutate

# Changes only when a tool does: another Verilator or compiler makes another model.
$(BUILD)/presets/tools.stamp: tools-checked
	@mkdir -p $(@D)
	@new=$@.$$$$; { verilator --version; $(CXX) --version | head -n 1; } > $$new; \
	if cmp -s $$new $@; then rm $$new; else mv $$new $@; fi

# These tests load models when they run.
models = $(patsubst %,$(BUILD)/presets/%.so,$(1))
$(BUILD)/tests/rtl_test: | $(call models,tiny tiny-plru tiny.assert)
$(BUILD)/tests/rtl_invalidate_test: | $(call models,tiny tiny-l2 tiny-unified tiny-l2.assert tiny-random.assert)
$(BUILD)/tests/rtl_walkers_test: | $(call models,tiny-random tiny-random.assert)

lint: ## check rtl/ with Verilator, Icarus and Yosys
	tb/lint.sh

.PHONY: synth
synth: ## size and frequency of the MMU on iCE40 and as gates, into rtl/README.md (takes long)
	tb/synth.sh --readme

.PHONY: formal
formal: ## prove properties of rtl/: what and with which result is in docs/proofs.md
	tb/formal/prove.sh $(BUILD)/formal --docs
