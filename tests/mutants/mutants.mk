# Mutants: would the tests notice a bug? tests/mutants/README.md. Included by the Makefile.

# The C MMU with the hand-made bugs of tb/mutants.txt in, as an object for --mmu.
$(BUILD)/obj/mmu-mutate/%.o: csrc/mmu/%.c
	@mkdir -p $(@D)
	@echo "  CC   $< (mutants)"
	@$(CCACHE) $(CC) $(CPPFLAGS) -DMUTATE $(CFLAGS) -fvisibility=hidden -MMD -MP -c $< -o $@

$(BUILD)/obj/mmu-mutate/mmu_c_mutate.o: tests/mutants/mmu_c_mutate.c
	@mkdir -p $(@D)
	@echo "  CC   $<"
	@$(CCACHE) $(CC) $(CPPFLAGS) $(CFLAGS) -fvisibility=hidden -MMD -MP -c $< -o $@

$(BUILD)/mmu-c.mutate.so: $(patsubst csrc/mmu/%.c,$(BUILD)/obj/mmu-mutate/%.o,$(wildcard csrc/mmu/*.c)) \
    $(BUILD)/obj/mmu-mutate/mmu_c_mutate.o
	@echo "  LINK $@" && $(CC) -shared $(SANITIZE) -o $@ $^

$(BUILD)/obj/mutants/programs.o: tests/mutants/programs.cpp
	@mkdir -p $(@D)
	@echo "  CXX  $<"
	@$(CCACHE) $(CXX) $(CPPFLAGS) $(subst $(TEST_OPT),-O1,$(CXXFLAGS)) -MMD -MP -c $< -o $@

$(BUILD)/mutant-programs: $(BUILD)/obj/mutants/programs.o $(BUILD)/lib/mmu.a
	@echo "  LINK $@" && $(CXX) $(SANITIZE) -o $@ $^ -ldl

# A copy of rtl/ with mutants that a tool makes: of all that it can one in MUTANTS_EVERY.
MUTANTS_EVERY ?= 10
$(BUILD)/generated/list.txt: tests/mutants/generate.pl $(wildcard rtl/*.sv rtl/*.svh)
	@mkdir -p $(@D)
	tests/mutants/generate.pl rtl $(@D) $(MUTANTS_EVERY)

$(BUILD)/generated/%.so: rtl/presets/%.preset $(BUILD)/generated/list.txt $(PRESET_SOURCES)
	NTMMU_MODEL_OPT=-O1 tb/build_preset.sh $< $@ --mutate $(BUILD)/generated

# Those of the kernel, if there are any.
KERNEL_MUTANTS := $(if $(wildcard tests/mutants/nt.stack),nt)
MUTANT_OBJECTS := $(BUILD)/ntmmu $(if $(KERNEL_MUTANTS),$(BUILD)/ntmmu.mutate) $(BUILD)/mutant-programs $(BUILD)/mmu-c.mutate.so \
    $(call models,tiny-l2 tiny-ahead tiny-l2.mutate tiny-random.mutate tiny-ahead.mutate) \
    $(patsubst %,$(BUILD)/generated/%.so,tiny-l2 tiny-random tiny-unified tiny-ahead)

$(BUILD)/tests/mutants_test: | $(call models,tiny.mutate tiny-l2.mutate tiny-plru.mutate tiny-random.mutate tiny-l2 tiny-ahead) \
    $(BUILD)/mmu-c.mutate.so $(BUILD)/generated/tiny-l2.so

.PHONY: mutants
mutants: $(MUTANT_OBJECTS) ## plant each known bug; which test notices it goes into docs/mutants.md
	@rc=0; tests/mutants/run.sh --build $(BUILD) --alone rtl c $(KERNEL_MUTANTS) || rc=$$?; \
	[ $$rc -gt 1 ] || tests/mutants/run.sh --build $(BUILD) generated || rc=$$?; \
	[ $$rc -le 1 ] || exit $$rc; \
	tests/mutants/table.sh $(BUILD) > docs/mutants.md.new && mv docs/mutants.md.new docs/mutants.md && exit $$rc
