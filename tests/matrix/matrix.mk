# The matrix of paging bits: `make matrix` tries all cases on both MMUs, `make test` a sample. Included by the Makefile.

.PHONY: matrix
MATRIX_CPU ?= ref64

$(BUILD)/obj/matrix/%.o: tests/matrix/%.c
	@mkdir -p $(@D)
	@echo "  CC   $<"
	@$(CCACHE) $(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/matrix: $(patsubst tests/matrix/%.c,$(BUILD)/obj/matrix/%.o,$(wildcard tests/matrix/*.c)) $(BUILD)/lib/mmu.a
	@echo "  LINK $@" && $(CC) $(SANITIZE) -o $@ $^ -ldl

# Its unit test has it linked in.
$(BUILD)/tests/matrix_test: $(patsubst %,$(BUILD)/obj/matrix/%.o,cases expect run)

matrix: $(BUILD)/matrix $(BUILD)/presets/$(MATRIX_CPU).so ## every combination of paging bits on both MMUs against the SDM  [MATRIX_CPU=…]
	@$(BUILD)/matrix --cpu $(MATRIX_CPU) --mmu c --mmu $(BUILD)/presets/$(MATRIX_CPU).so
