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
