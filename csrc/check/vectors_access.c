/* The words of a vector line, and one access by the MMU under test: see vectors_priv.h. */
#include "vectors_priv.h"
#include <string.h>

enum { ACCESS_BYTES = 4, DESCRIPTOR_BYTES = 8, DESCRIPTOR_TYPE = 5 };

/* ---- what a line says ---- */

int vectors_parse_mode(struct runner *r, unsigned index, enum vectors_mode *out) {
    const char *word = r->file.words[index];
    if (strlen(word) != 1 || word[0] < '0' + MODE_TWO_LEVEL || word[0] > '0' + MODE_FOUR_LEVEL) {
        return vectors_file_fail(&r->file, word, "a paging mode: 2, 3 or 4");
    }
    *out = (enum vectors_mode)(word[0] - '0');
    return 0;
}

int vectors_parse_flag(struct runner *r, unsigned index, bool *out) {
    const char *word = r->file.words[index];
    if (strcmp(word, "0") != 0 && strcmp(word, "1") != 0) { return vectors_file_fail(&r->file, word, "0 or 1"); }
    *out = word[0] == '1';
    return 0;
}

bool vectors_is_descriptor_load(const struct access *access) {
    return access->mode == MMU_IMPLICIT && access->type == MMU_WRITE;
}

int vectors_parse_access(struct runner *r, unsigned acc, unsigned lin, struct access *out) {
    static const char modes[] = "SUIJ", types[] = "RWXM";
    static const enum mmu_mode mode_of[] = {MMU_SUPERVISOR, MMU_USER, MMU_IMPLICIT, MMU_IMPLICIT};
    static const enum mmu_type type_of[] = {MMU_READ, MMU_WRITE, MMU_FETCH, MMU_MODIFY};
    const char *word = r->file.words[acc];
    const char *mode = strlen(word) == 2 ? strchr(modes, word[0]) : NULL;
    const char *type = mode ? strchr(types, word[1]) : NULL;
    if (!type) { return vectors_file_fail(&r->file, word, "an access: one of S U I J, then one of R W X M"); }
    out->mode = mode_of[mode - modes];
    out->type = type_of[type - types];
    if (vectors_hex(&r->file, lin, &out->va) < 0) { return -1; }
    out->crosses = (out->va & PAGE_MASK) + ACCESS_BYTES > PAGE_SIZE;
    if (vectors_is_descriptor_load(out) && (out->va & PAGE_MASK) + DESCRIPTOR_BYTES > PAGE_SIZE) {
        return vectors_file_fail(&r->file, r->file.words[lin], "a descriptor within one page");
    }
    return 0;
}

int vectors_parse_outcome(struct runner *r, unsigned first, struct outcome *out) {
    struct vectors_file *file = &r->file;
    const char *word = file->words[first];
    *out = (struct outcome){0};
    if (strcmp(word, "gp") == 0 || strcmp(word, "c3d") == 0) {
        out->kind = *word == 'g' ? OUTCOME_GP : OUTCOME_LOAD_GP;
        return 0;
    }
    if (strcmp(word, "pf") == 0) {
        uint64_t error_code;
        if (vectors_hex(file, first + 1, &error_code) < 0 || vectors_hex(file, first + 2, &out->cr2) < 0) { return -1; }
        out->kind = OUTCOME_PF;
        out->error_code = (uint32_t)error_code;
        return 0;
    }
    if (strcmp(word, "ok") != 0) { return vectors_file_fail(file, word, "an outcome: ok, pf, gp or c3d"); }
    out->pa_known = strcmp(file->words[first + 3], "?") != 0;
    return out->pa_known ? vectors_hex(file, first + 3, &out->pa) : 0;
}

int vectors_parse_registers(struct runner *r, unsigned first, struct registers *out) {
    struct vectors_file *file = &r->file;
    return vectors_hex(file, first, &out->cr0) < 0 || vectors_hex(file, first + 1, &out->cr4) < 0 ||
                   vectors_hex(file, first + 2, &out->efer) < 0
               ? -1
               : 0;
}

unsigned vectors_missing(const struct runner *r, enum vectors_mode mode, uint64_t cr4, uint64_t efer) {
    static const struct {
        uint64_t bit;
        unsigned feature;
    } cr4_bits[] = {{CR4_PSE, CPU_PSE},    {CR4_PAE, CPU_PAE},   {CR4_PGE, CPU_PGE},
                    {CR4_PCIDE, CPU_PCID}, {CR4_SMEP, CPU_SMEP}, {CR4_SMAP, CPU_SMAP}};
    unsigned features = mode == MODE_FOUR_LEVEL ? CPU_LONG : mode == MODE_PAE ? CPU_PAE : 0;
    for (unsigned i = 0; i < sizeof cr4_bits / sizeof *cr4_bits; i++) {
        if (cr4 & cr4_bits[i].bit) { features |= cr4_bits[i].feature; }
    }
    if (efer & EFER_NXE) { features |= CPU_NX; }
    return features & ~r->config->preset.features;
}

/* ---- driving the MMU ---- */

/* Which byte of the descriptor CR2 names is not the same on all processors. */
static va_t cr2_mask(const struct access *access) {
    return vectors_is_descriptor_load(access) ? ~(va_t)(DESCRIPTOR_BYTES - 1) : ~(va_t)0;
}

bool vectors_same_outcome(const struct outcome *a, const struct outcome *b, const struct access *access) {
    if (a->kind != b->kind) { return false; }
    if (a->kind == OUTCOME_PF) { return a->error_code == b->error_code && ((a->cr2 ^ b->cr2) & cr2_mask(access)) == 0; }
    return a->kind != OUTCOME_OK || !a->pa_known || !b->pa_known || a->pa == b->pa;
}

static struct outcome request_once(struct runner *r, va_t va, enum mmu_type type, enum mmu_mode mode, unsigned bytes) {
    struct mmu_request request = {.va = va, .type = (uint8_t)type, .mode = (uint8_t)mode, .size = (uint8_t)bytes};
    struct mmu_result result;
    if (r->config->mmu->translate(r->mmu, &request, &result, 1) != 1) { return (struct outcome){.kind = OUTCOME_NONE}; }
    if (result.vector == MMU_VECTOR_PF) {
        return (struct outcome){.kind = OUTCOME_PF, .error_code = result.error_code, .cr2 = result.cr2};
    }
    if (result.vector != MMU_VECTOR_NONE) { return (struct outcome){.kind = OUTCOME_GP}; }
    return (struct outcome){.kind = OUTCOME_OK, .pa = result.pa, .pa_known = true, .page_shift = result.page_shift};
}

/* An access over a page boundary is two, the lower page first. */
static struct outcome access_two_pages(struct runner *r, const struct access *access) {
    va_t second = page_of(access->va) + PAGE_SIZE;
    unsigned bytes = (unsigned)(second - access->va);
    struct outcome outcome = request_once(r, access->va, access->type, access->mode, bytes);
    if (outcome.kind == OUTCOME_OK) {
        outcome = request_once(r, second, access->type, access->mode, ACCESS_BYTES - bytes);
    }
    outcome.pa_known = false;
    return outcome;
}

static struct outcome load_descriptor(struct runner *r, const struct access *access) {
    struct outcome read = request_once(r, access->va, MMU_READ, access->mode, DESCRIPTOR_BYTES);
    if (read.kind != OUTCOME_OK) { return read; }
    struct outcome write = request_once(r, access->va + DESCRIPTOR_TYPE, MMU_WRITE, access->mode, 1);
    write.pa -= DESCRIPTOR_TYPE;
    return write;
}

struct outcome vectors_access(struct runner *r, const struct access *access) {
    if (vectors_is_descriptor_load(access)) { return load_descriptor(r, access); }
    if (access->crosses) { return access_two_pages(r, access); }
    return request_once(r, access->va, access->type, access->mode, ACCESS_BYTES);
}

bool vectors_write_register(struct runner *r, enum mmu_control which, uint64_t value) {
    return r->config->mmu->write_control(r->mmu, which, value) == MMU_VECTOR_NONE;
}

/* PCIDE goes off before paging does, and on after it (SDM 4.10.1). */
bool vectors_load_registers(struct runner *r, const struct registers *registers) {
    uint64_t old_cr4 = r->config->mmu->read_control(r->mmu, MMU_CR4);
    if ((old_cr4 & CR4_PCIDE) && !vectors_write_register(r, MMU_CR4, old_cr4 & ~CR4_PCIDE)) { return false; }
    return vectors_write_register(r, MMU_CR0, CR0_PE) &&
           vectors_write_register(r, MMU_CR4, registers->cr4 & ~CR4_PCIDE) &&
           vectors_write_register(r, MMU_EFER, registers->efer) && vectors_write_register(r, MMU_CR3, registers->cr3) &&
           vectors_write_register(r, MMU_EFLAGS_AC, registers->ac) &&
           vectors_write_register(r, MMU_CR0, registers->cr0) &&
           (!(registers->cr4 & CR4_PCIDE) || vectors_write_register(r, MMU_CR4, registers->cr4));
}
