# Every task by its name: `make help` lists them. Everything built lands in build/.
.DEFAULT_GOAL := all
SHELL := /bin/bash
.DELETE_ON_ERROR:
.SECONDARY:

BUILD := build
CCACHE := $(shell command -v ccache 2>/dev/null)
CC := gcc
CXX := g++
OPT ?= -O2 -g
SANITIZE ?=
CPPFLAGS := -Icsrc/include -Icsrc -D_GNU_SOURCE
# Position independent, but nothing replaces one of its functions: calls within a file may be inlined.
CFLAGS := -std=c17 $(OPT) -Wall -Wextra -Werror -fPIC -fno-semantic-interposition $(SANITIZE)
# Test cases spend their time in the rooms, not in themselves: compiling them is what takes long.
TEST_OPT ?= -O0
CXXFLAGS := -std=c++17 $(TEST_OPT) -Wall -Wextra -Werror -fPIC $(SANITIZE)
LDLIBS := -lboost_context -lzstd -larchive -ljansson -ldl -lm
COVER_CFLAGS ?=
ifneq ($(findstring --coverage,$(COVER_CFLAGS)),)
LDLIBS += -lgcov
endif

# One static library a room, so that a room can be built alone: `make build/lib/nt.a`.
ROOMS := machine mmu nt trace check report gen
room_objects = $(patsubst csrc/%.c,$(BUILD)/obj/%.o,$(wildcard csrc/$(1)/*.c))
ROOM_LIBS := $(ROOMS:%=$(BUILD)/lib/%.a) $(BUILD)/lib/nt_pae.a $(BUILD)/lib/audit_pae.a $(BUILD)/lib/dump_pae.a
CLI_OBJECTS := $(call room_objects,cli)
TESTS := $(patsubst tests/unit/%.cpp,$(BUILD)/tests/%,$(wildcard tests/unit/*_test.cpp))
# The RTL builds that the tests use: CPUs of each kind of geometry, some with assertions on or with the hand-made bugs in.
TEST_MODELS := $(patsubst %,$(BUILD)/presets/%.so,ref64 ref64-l2 i486 p6 skylake zen2 geode-lx tiny tiny-plru tiny-l2 \
    tiny-unified tiny-random tiny-ahead ref64.assert tiny.assert tiny-l2.assert tiny-random.assert tiny.mutate tiny-plru.mutate)
PRESETS := $(patsubst rtl/presets/%.preset,$(BUILD)/presets/%.so,$(wildcard rtl/presets/*.preset))

.PHONY: all help deps
all: $(BUILD)/ntmmu $(BUILD)/presets/ref64.so ## build the program and the default CPU preset

help: ## list the targets
	@grep -hE '^[a-z][a-z0-9_-]*:.*##' $(MAKEFILE_LIST) | sed 's/:.*## */\t/' | sort | expand -t 14

deps: ## install the Debian packages of packages.txt that are missing
	@.ci/deps

$(BUILD)/obj/%.o: csrc/%.c
	@mkdir -p $(@D)
	@echo "  CC   $<"
	@$(CCACHE) $(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@

# `make cover` counts the lines of the rooms and the program; what is compiled once more for PAE's tables is the same source.
$(foreach room,machine mmu nt trace check report gen cli,$(eval $(BUILD)/obj/$(room)/%.o: CFLAGS += $(COVER_CFLAGS)))

# The two that look for files beside the sources.
$(BUILD)/obj/cli/preset.o $(BUILD)/obj/bench/nt_bench.o $(BUILD)/obj/bench/mmu_bench.o $(BUILD)/obj/tests/trace_import_test.o: CPPFLAGS += -DNTMMU_ROOT='"$(CURDIR)"'

define room_rule
$(BUILD)/lib/$(1).a: $(call room_objects,$(1))
	@mkdir -p $$(@D)
	@rm -f $$@ && ar rcs $$@ $$^
endef
$(foreach room,$(ROOMS),$(eval $(call room_rule,$(room))))

# The kernel once more, with PAE's page tables (NT-12): one object, of which only its os_ops shows.
$(BUILD)/obj/nt_pae/%.o: csrc/nt/%.c
	@mkdir -p $(@D)
	@echo "  CC   $< (PAE)"
	@$(CCACHE) $(CC) $(CPPFLAGS) -DMI_PAE=1 $(CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/lib/nt_pae.a: $(patsubst csrc/nt/%.c,$(BUILD)/obj/nt_pae/%.o,$(wildcard csrc/nt/*.c))
	@mkdir -p $(@D)
	@ld -r -o $(BUILD)/obj/nt_pae.o $^
	@objcopy --keep-global-symbol=nt_pae_os_ops $(BUILD)/obj/nt_pae.o
	@rm -f $@ && ar rcs $@ $(BUILD)/obj/nt_pae.o

# Both kernels with the hand-made bugs of tests/mutants/nt.txt in, in one program; NTMMU_MUTANT=number chooses one.
MUTATE := $(BUILD)/obj/mutate
$(MUTATE)/%.o: csrc/%.c
	@mkdir -p $(@D)
	@echo "  CC   $< (MUTATE)"
	@$(CCACHE) $(CC) $(CPPFLAGS) -DMUTATE $(CFLAGS) -MMD -MP -c $< -o $@

$(MUTATE)/nt_pae/%.o: csrc/nt/%.c
	@mkdir -p $(@D)
	@echo "  CC   $< (PAE, MUTATE)"
	@$(CCACHE) $(CC) $(CPPFLAGS) -DMUTATE -DMI_PAE=1 $(CFLAGS) -MMD -MP -c $< -o $@

$(MUTATE)/nt_pae.o: $(patsubst csrc/nt/%.c,$(MUTATE)/nt_pae/%.o,$(wildcard csrc/nt/*.c))
	@ld -r -o $@ $^
	@objcopy --keep-global-symbol=nt_pae_os_ops $@

$(BUILD)/ntmmu.mutate: $(CLI_OBJECTS) $(patsubst csrc/nt/%.c,$(MUTATE)/nt/%.o,$(wildcard csrc/nt/*.c)) $(MUTATE)/nt_pae.o
$(BUILD)/ntmmu.mutate: ROOM_LIBS := $(filter-out %/nt.a %/nt_pae.a,$(ROOM_LIBS))
$(BUILD)/ntmmu.mutate: $(filter-out %/nt.a %/nt_pae.a,$(ROOM_LIBS))
	$(LINK) $(LDLIBS)

# The audit reads that kernel's tables: once more, too.
$(BUILD)/obj/check_pae/%.o: csrc/check/%.c
	@mkdir -p $(@D)
	@echo "  CC   $< (PAE)"
	@$(CCACHE) $(CC) $(CPPFLAGS) -DMI_PAE=1 $(CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/lib/audit_pae.a: $(patsubst csrc/check/%.c,$(BUILD)/obj/check_pae/%.o,$(wildcard csrc/check/audit*.c))
	@mkdir -p $(@D)
	@ld -r -o $(BUILD)/obj/audit_pae.o $^
	@objcopy --keep-global-symbol=audit_pae_ops $(BUILD)/obj/audit_pae.o
	@rm -f $@ && ar rcs $@ $(BUILD)/obj/audit_pae.o

# So do the commands of a dump.
DUMP_PAE := $(filter-out %/dump_image.c %/dump_which.c,$(wildcard csrc/report/dump*.c))
$(BUILD)/obj/report_pae/%.o: csrc/report/%.c
	@mkdir -p $(@D)
	@echo "  CC   $< (PAE)"
	@$(CCACHE) $(CC) $(CPPFLAGS) -DMI_PAE=1 $(CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/lib/dump_pae.a: $(patsubst csrc/report/%.c,$(BUILD)/obj/report_pae/%.o,$(DUMP_PAE))
	@mkdir -p $(@D)
	@ld -r -o $(BUILD)/obj/dump_pae.o $^
	@objcopy --keep-global-symbol=dump_pae_command $(BUILD)/obj/dump_pae.o
	@rm -f $@ && ar rcs $@ $(BUILD)/obj/dump_pae.o

LINK = @echo "  LINK $@" && $(CXX) $(SANITIZE) -o $@ $(filter %.o,$^) -Wl,--start-group $(ROOM_LIBS) -Wl,--end-group

$(BUILD)/ntmmu: $(CLI_OBJECTS) $(ROOM_LIBS)
	$(LINK) $(LDLIBS)

# One GoogleTest binary for each tests/unit/NAME_test.cpp.
$(BUILD)/obj/tests/%.o: tests/unit/%.cpp
	@mkdir -p $(@D)
	@echo "  CXX  $<"
	@$(CCACHE) $(CXX) $(CPPFLAGS) $(CXXFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/tests/%: $(BUILD)/obj/tests/%.o $(ROOM_LIBS)
	@mkdir -p $(@D)
	$(LINK) -lgtest -lgtest_main -pthread $(LDLIBS)

# The SystemC platform. Debian's library is built for C++17 with GNU extensions, and no other.
$(BUILD)/obj/model/%.o: model/%.cpp
	@mkdir -p $(@D)
	@echo "  CXX  $<"
	@$(CCACHE) $(CXX) $(CPPFLAGS) -std=gnu++17 $(OPT) -Wall -Wextra -Werror $(SANITIZE) -MMD -MP -c $< -o $@

$(BUILD)/ntmmu-platform: $(patsubst model/%.cpp,$(BUILD)/obj/model/%.o,$(wildcard model/*.cpp)) \
    $(filter-out %/main.o $(BUILD)/obj/cli/cmd_%.o,$(CLI_OBJECTS)) $(ROOM_LIBS)
	$(LINK) -lsystemc $(LDLIBS)

# Its modules are linked into one unit test.
$(BUILD)/obj/tests/platform_test.o: CXXFLAGS := $(subst c++17,gnu++17,$(CXXFLAGS))
$(BUILD)/tests/platform_test: $(patsubst %,$(BUILD)/obj/model/%.o,bus memory mmu)
$(BUILD)/tests/platform_test: LDLIBS += -lsystemc

.PHONY: platform
platform: $(BUILD)/ntmmu-platform $(BUILD)/presets/ref64.so ## build the SystemC platform, build/ntmmu-platform

include tb/preset.mk # build/presets/NAME[.assert|.mutate].so, and lint

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)

# ---- an MMU of somebody's own: docs/own-mmu.md ----

.PHONY: examples
EXAMPLES := $(patsubst %,$(BUILD)/examples/%.so,tiny_mmu tiny_mmu.bugs-1 tiny_mmu.bugs-2)
EXAMPLE_SOURCES := $(wildcard examples/own-mmu/*.v examples/own-mmu/*.cpp) examples/own-mmu/build.sh \
    csrc/include/ntmmu/mmu.h csrc/include/ntmmu/preset.h csrc/include/ntmmu/paging.h csrc/include/ntmmu/types.h

$(BUILD)/examples/tiny_mmu.so: $(EXAMPLE_SOURCES)
	examples/own-mmu/build.sh $@

$(BUILD)/examples/tiny_mmu.bugs-%.so: $(EXAMPLE_SOURCES)
	examples/own-mmu/build.sh $@ $*

examples: $(EXAMPLES) ## build the example of an MMU of one's own, without and with its planted bugs

# ---- running ----

TRACE ?= traces/p3_sh.vmt.zst
CMD ?= ls /
OUT ?= $(BUILD)/capture.vmt.zst

.PHONY: run check wave capture presets
run: deps ## install, build, and run a real program on the RTL, checked against the C MMU  [TRACE=…]
	@$(MAKE) --no-print-directory all
	$(BUILD)/ntmmu check $(TRACE)

check: all ## run TRACE on both MMUs with all five checks
	$(BUILD)/ntmmu check $(TRACE)

wave: all ## open the waveform of TRACE's first page fault in GTKWave
	$(BUILD)/ntmmu wave $(TRACE) --at fault:1

capture: all ## trace a program of this machine and convert it  [CMD='…' OUT=…]
	traces/capture.sh -o $(OUT) -- $(CMD)

presets: $(PRESETS) ## build every CPU preset

# ---- measuring ----

.PHONY: bench bench-presets
$(BUILD)/obj/bench/%.o: bench/%.c
	@mkdir -p $(@D)
	@echo "  CC   $<"
	@$(CCACHE) $(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/%_bench: $(BUILD)/obj/bench/%_bench.o $(ROOM_LIBS)
	$(LINK) $(LDLIBS)

BENCH_MODELS := $(patsubst %,$(BUILD)/presets/%.so,ref64 geode-lx) # without and with a paging-structure cache
bench: $(BUILD)/nt_bench $(BUILD)/mmu_bench $(BENCH_MODELS) ## soft faults and TLB hits a second, cycles of walks (figures of this computer, no test)
	@$(BUILD)/nt_bench $(BUILD)/presets/ref64.so
	@$(BUILD)/mmu_bench $(BENCH_MODELS)

# i486 has no large pages, which the kernel boots with unless the trace says otherwise.
BENCH_PRESETS := ref64 $(filter-out ref64 i486 tiny%,$(patsubst rtl/presets/%.preset,%,$(wildcard rtl/presets/*.preset)))
bench-presets: $(BUILD)/preset_bench $(BUILD)/ntmmu $(BENCH_PRESETS:%=$(BUILD)/presets/%.so) ## how long each CPU preset's RTL takes, relative to ref64  [TRACE=…]
	@$(BUILD)/preset_bench $(BUILD)/ntmmu $(TRACE) $(BENCH_PRESETS)

include tests/matrix/matrix.mk # every combination of paging bits
include tests/mutants/mutants.mk # the planted bugs

# ---- fuzzing ----

include tests/fuzz/fuzz.mk

# ---- torture ----

.PHONY: torture
SEED ?= 1
EVENTS ?= 1000000
JOBS ?= $(shell nproc)
CPUS ?= ref64 p6 skylake tiny-l2 tiny-random

torture: all $(CPUS:%=$(BUILD)/presets/%.so) ## random programs in all modes, bare and for the NT kernel, on both MMUs  [SEED=N EVENTS=N JOBS=N CPUS='…' KIND=mmu|nt]
	@tests/torture/torture.sh $(BUILD) $(SEED) $(EVENTS) $(JOBS) '$(CPUS)'

# ---- tests ----

.PHONY: cover test test-build asan ubsan tsan clean coverage-nt cover-nt
coverage-nt: ## print which scenarios and tests cover each rule of csrc/nt/README.md
	@tests/nt_coverage.sh

cover: ## coverage of rtl/ (lines, toggles, named situations) and of csrc/ (lines); each hole with the reason why  [JOBS=N; HTML in build/cover-rtl/html, build/cover-c/html]
	@JOBS=$(JOBS) tests/cover_rtl.sh $(BUILD)/cover-rtl
	@JOBS=$(JOBS) tests/cover_c.sh $(BUILD)/cover-c

cover-nt: ## the same of csrc/nt alone: the lines that no test of the memory manager runs
	@JOBS=$(JOBS) tests/cover_c.sh $(BUILD)/cover-c nt

test: deps ## install what is missing, build, run every test; ends in ctest's summary
	@$(MAKE) --no-print-directory test-build
	@tests/ctest.sh $(BUILD)

# What runs under sanitizers, but for a build that is itself for one.
ASAN := $(BUILD)/asan
TSAN := $(BUILD)/tsan
test-build: $(if $(SANITIZE),,$(ASAN)/ntmmu $(TSAN)/two_machines)
test-build: all platform fuzz-replay $(BUILD)/ntmmu.mutate $(BUILD)/two_machines $(BUILD)/matrix $(BUILD)/nt_bench $(BUILD)/mmu_bench $(BUILD)/preset_bench $(TESTS) $(TEST_MODELS) $(EXAMPLES) ## build what the tests need

# Machines in threads beside each other.
$(BUILD)/two_machines: $(BUILD)/obj/threads/two_machines.o $(filter-out %/main.o $(BUILD)/obj/cli/cmd_%.o,$(CLI_OBJECTS)) $(ROOM_LIBS)
	$(LINK) -pthread $(LDLIBS)

$(BUILD)/obj/threads/%.o: tests/threads/%.c
	@mkdir -p $(@D)
	@echo "  CC   $<"
	@$(CCACHE) $(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@

# Under the sanitizers gcc 12 takes std::regex, and what only one case of a switch sets, for uninitialized.
ASAN_BUILD := --no-print-directory BUILD=$(ASAN) OPT='-O1 -g' TEST_OPT='-O1 -g -Wno-maybe-uninitialized' \
    SANITIZE='-fsanitize=address,undefined -fno-sanitize-recover=undefined'
.PHONY: $(ASAN)/ntmmu
$(ASAN)/ntmmu:
	@$(MAKE) $(ASAN_BUILD) $@
asan: ## build and run every test under ASan and UBSan, in build/asan
	@$(MAKE) $(ASAN_BUILD) test-build
	@tests/ctest.sh $(ASAN)

ubsan: ## every scenario and trace on the C MMU, on many CPUs and with little memory, under UBSan, in build/ubsan
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/ubsan SANITIZE='-fsanitize=undefined -fno-sanitize-recover=undefined' \
		$(BUILD)/ubsan/ntmmu
	@tests/every_trace.sh $(BUILD)/ubsan

.PHONY: $(TSAN)/two_machines
$(TSAN)/two_machines:
	@$(MAKE) --no-print-directory BUILD=$(TSAN) OPT='-O1 -g -Wno-maybe-uninitialized' SANITIZE='-fsanitize=thread' $(TSAN)/two_machines

tsan: all $(TSAN)/two_machines ## machines in threads beside each other under TSan, in build/tsan
	$(BUILD)/ntmmu gen --kind nt --mild --line '!boot CFG-A' --line '!threads auto' --line '!ram 1M' \
		--line '!disk seek:3,transfer:1' $(TSAN)/waits.vmt
	$(TSAN)/two_machines c traces/p3_sh.vmt.zst traces/sort.vmt.zst $(TSAN)/waits.vmt
	$(TSAN)/two_machines $(BUILD)/presets/ref64.so traces/subshell.vmt.zst $(TSAN)/waits.vmt

clean: ## remove everything that was built
	rm -rf $(BUILD)
