# The fuzz targets, tests/fuzz/fuzz_NAME.c: build/fuzz/NAME under libFuzzer and sanitizers, all in clang and a build of its
# own; build/fuzz-replay/NAME runs inputs once, as the tests do. Included by the Makefile.
FUZZ_TARGETS := trace convert lackey archive vectors preset events
FUZZ := $(BUILD)/fuzz
FUZZ_MAKE := $(MAKE) --no-print-directory BUILD=$(FUZZ) CC=clang CXX=clang++ OPT='-O2 -g' FUZZING=1 \
    SANITIZE='-fsanitize=fuzzer-no-link,address,undefined -fsanitize-trap=undefined -fsanitize-address-use-after-return=never'
RUNS ?= 100000
TARGETS ?= $(FUZZ_TARGETS)

# The operands of comparisons tell the fuzzer which words a reader knows. The machines and what writes traces read none, and a
# call at each of their comparisons is half of the time they take.
ifdef FUZZING
$(filter-out %/preset.o %/vectors%,$(foreach room,machine mmu nt check,$(call room_objects,$(room)))) \
    $(patsubst %,$(BUILD)/obj/trace/%.o,runs format writer) $(BUILD)/obj/nt_pae/%.o $(BUILD)/obj/check_pae/%.o: CFLAGS += -fno-sanitize-coverage=trace-cmp,indirect-calls
endif

.PHONY: fuzz fuzz-build fuzz-keep fuzz-replay fuzz-targets
$(BUILD)/obj/fuzz/%.o: tests/fuzz/%.c
	@mkdir -p $(@D)
	@echo "  CC   $<"
	@$(CCACHE) $(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/targets/%: $(BUILD)/obj/fuzz/fuzz_%.o $(BUILD)/obj/fuzz/fuzz_file.o $(BUILD)/obj/fuzz/fuzz_options.o \
    $(BUILD)/obj/fuzz/events.o $(ROOM_LIBS)
	@mkdir -p $(@D)
	@echo "  LINK $@" && $(CXX) -fsanitize=fuzzer,address,undefined -o $@ $(filter %.o,$^) -Wl,--start-group $(ROOM_LIBS) \
		-Wl,--end-group $(LDLIBS)
# Their inputs may be compressed or archives.
$(addprefix $(BUILD)/targets/,trace convert vectors archive): $(BUILD)/obj/fuzz/mutate_packed.o
fuzz-targets: $(FUZZ_TARGETS:%=$(BUILD)/targets/%)

$(BUILD)/fuzz-replay/%: $(BUILD)/obj/fuzz/fuzz_%.o $(BUILD)/obj/fuzz/fuzz_file.o $(BUILD)/obj/fuzz/events.o \
    $(BUILD)/obj/fuzz/replay_main.o $(ROOM_LIBS)
	@mkdir -p $(@D)
	$(LINK) $(LDLIBS)
fuzz-replay: $(FUZZ_TARGETS:%=$(BUILD)/fuzz-replay/%)

fuzz-build: ## build the fuzz targets (clang)
	@$(FUZZ_MAKE) fuzz-targets

fuzz: fuzz-build ## fuzz readers, importers, presets and whole machines  [RUNS=N TARGETS='trace events …' JOBS=N]
	@tests/fuzz/fuzz.sh $(FUZZ) $(RUNS) $(TARGETS)

fuzz-keep: fuzz-build ## keep what the fuzz campaigns have reached for the next ones, in tests/fuzz/corpus  [TARGETS='trace events …']
	@tests/fuzz/keep.sh $(FUZZ) $(TARGETS)
