/* What the subcommands share: exit codes, the machine options of run/check/wave, loading of presets and MMUs, progress
 * on a terminal and the Ctrl-C flag. One file a subcommand, cmd_NAME.c, each with a function cmd_NAME. */
#ifndef NTMMU_CLI_H
#define NTMMU_CLI_H

#include "ntmmu/machine.h"
#include "ntmmu/mmu.h"
#include "ntmmu/preset.h"
#include "ntmmu/trace.h"

#include <argp.h>
#include <signal.h>

enum { EXIT_OK = 0, EXIT_FAILED = 1 /* a check failed */, EXIT_CANNOT = 2 /* cannot run */, EXIT_INTERRUPTED = 130 };

/* argc, argv start at the subcommand's name. Return the exit code. */
int cmd_run(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_wave(int argc, char **argv);
int cmd_vectors(int argc, char **argv);
int cmd_convert(int argc, char **argv);
int cmd_info(int argc, char **argv);
int cmd_dump(int argc, char **argv);
int cmd_build(int argc, char **argv);
int cmd_gen(int argc, char **argv);
int cmd_shrink(int argc, char **argv);

/* ---- messages ---- */

/* "ntmmu: MESSAGE" as one line on stderr; returns EXIT_CANNOT. */
int cli_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

struct json_t; /* jansson's */

/* Writes ROOT as report_write_json does and drops the reference to it. EXIT_OK, or EXIT_CANNOT after a message. */
int cli_write_json(struct json_t *root, const char *path);

/* ---- command lines ---- */

/* argp_parse for a subcommand: usage errors are one line and EXIT_CANNOT, --help prints and exits 0, --quiet is handled
 * here (cli_quiet). Parsers report an error in a value with argp_error(state, …). */
void cli_parse(const struct argp *argp, int argc, char **argv, void *input);
/* The same for a program that has no subcommands and this name. */
void cli_parse_program(const struct argp *argp, const char *name, int argc, char **argv, void *input);
/* --quiet was given: no progress, no summary. */
bool cli_quiet(void);

/* argp_error if the argument of OPTION is "-": what is written there is more than one stream takes. */
void cli_expect_file(const char *option, const char *arg, struct argp_state *state);

/* "64", "16K", "64M", "1G" to bytes. 0, or -1 if TEXT is not a size. */
int cli_parse_size(const char *text, uint64_t *out);
/* A whole decimal number. 0, or -1. */
int cli_parse_number(const char *text, uint64_t *out);
/* "MIN:MAX", pages, decimal, 1 <= MIN <= MAX. 0, or -1. */
int cli_parse_ws(const char *text, uint32_t *min, uint32_t *max);

/* "SIZE[:MAX][@DIR]": a paging file, *directory NULL without DIR. 0, or -1. */
#define PAGEFILE_EXPECTED "SIZE[:MAX][@DIRECTORY] with sizes such as 64M (suffix K, M or G), or 0"
int cli_parse_pagefile(const char *text, struct os_pagefile *out, const char **directory);
#define DISK_EXPECTED "auto, fixed:STEPS or seek:STEPS,transfer:STEPS"
int cli_parse_disk(const char *text, struct disk_model *out);
#define INJECT_EXPECTED                                                                                                \
    "WHAT[@EVENT][:p=P[,seed=N]], WHAT read-error, write-error, pagefile-full, commit-limit, no-frame or parity"
int cli_parse_inject(const char *text, struct machine_injection *out);

/* Runs a program (looked up in PATH) to its end, its output on stderr. Its exit code; 127 if it is not there; -1 if it
 * was killed or could not be started. argv ends with NULL. */
int cli_run_program(char *const argv[]);

/* ---- CPU presets and MMUs ---- */

/* Preset NAME of rtl/presets (or a path with a '/'). 0, or -1 with one line in err. */
int cli_load_preset(struct mmu_preset *out, const char *name, char *err, size_t err_size);
#define PROFILE_EXPECTED "NT4|NT5|NT5PAE"
int cli_parse_profile(const char *word, enum os_profile *out); /* 0, or -1 */
/* Fills config->mmu; its kernel is known. False with one line in err. */
bool cli_choose_mmu(const char *kind, struct machine_config *config, bool assertions, char *err, size_t err_size);
#define MMU_WORDS    "rtl|c|OBJECT.so"
#define MMU_EXPECTED "rtl, c or the file of a shared object"
/* Names a file: it has a '/' or ends in .so. */
bool cli_is_mmu_object(const char *kind);
/* Kind "c", "rtl" (the Verilated RTL of the preset: a shared object, built first if need be) or a file. assertions: rtl
 * only, the build with assertions on. NULL with one line in err. The object stays loaded until the program ends. */
const struct mmu_ops *cli_load_mmu(const char *kind, const struct mmu_preset *preset, bool assertions, char *err,
                                   size_t err_size);
/* Builds the preset's shared object if it is not there or older than its sources. 0, or -1 with one line in err.
 * path receives the object's name. */
int cli_build_preset(const struct mmu_preset *preset, bool assertions, char *path, size_t path_size, char *err,
                     size_t err_size);
/* The source tree: NTMMU_HOME, else the tree the binary stands in, else the one it was compiled from. out: 4096 bytes.
 */
void cli_home(char *out, size_t out_size);

/* ---- progress and interruption ---- */

/* Rewrites one line on stderr: done events, accesses a second (events where there are no accesses: 0), time left.
 * Silent unless stderr is a terminal, with --quiet, in the first second, and when the last line is fresher than a fifth
 * of a second: call it as often as you like. fraction 0..1, negative if unknown. */
void cli_progress(double fraction, uint64_t events, uint64_t accesses);
/* Removes the line. */
void cli_progress_end(void);

/* Set by Ctrl-C after cli_catch_interrupt(): leave the loop, close files, return EXIT_INTERRUPTED. A second Ctrl-C ends
 * the program at once. */
extern volatile sig_atomic_t cli_interrupted;
void cli_catch_interrupt(void);

/* ---- the machine options of run, check and wave ---- */

struct cli_machine_options {
    const char *trace;
    const char *mmu; /* "c", "rtl" or the file of a shared object */
    const char *cpu; /* preset name */
    uint64_t ram;    /* bytes; valid if has_ram */
    struct os_pagefile pagefile[OS_PAGING_FILES_MAX];
    const char *pagefile_word[OS_PAGING_FILES_MAX], *pagefile_directory[OS_PAGING_FILES_MAX];
    unsigned pagefiles;       /* of --pagefile; one with min 0: none */
    const char *disk_word;    /* NULL: the trace says */
    const char *profile_word; /* likewise */
    enum os_profile profile;
    struct disk_model disk;
    const char *inject_word[MACHINE_INJECTIONS_MAX];
    struct machine_injection injection[MACHINE_INJECTIONS_MAX];
    unsigned injections;
    uint32_t min_ws, max_ws; /* pages, 0 = default */
    uint64_t latency;        /* cycles of every table access, 0: as the preset says */
    bool has_ram, kernel_direct, reference_counting, assertions;
};

/* An argp child that fills the struct; the subcommand passes it as the child's input (state->child_inputs[0]). */
extern const struct argp cli_machine_argp;
void cli_machine_defaults(struct cli_machine_options *options);
/* The command that shows a moment of the same run, ready for a shell: `ntmmu wave`, what differs from the defaults, the
 * trace. For free(); NULL if out of memory. */
char *cli_wave_command(const struct cli_machine_options *options);

/* A trace opened, its directives read, the machine's configuration made of both; the first item that is not a directive
 * is kept and handed out first by cli_trace_next. */
struct cli_trace {
    struct trace_reader *reader;
    struct trace_item held;
    bool holding;
    bool closed; /* !closed */
    bool bare;   /* its addresses have 64 bits */
};

int cli_trace_open(struct cli_trace *trace, const struct cli_machine_options *options, struct machine_config *config,
                   char *err, size_t err_size);
enum trace_item_kind cli_trace_next(struct cli_trace *trace, struct trace_item *item);
void cli_trace_close(struct cli_trace *trace);

#endif
