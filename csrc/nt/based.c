/* SEC_BASED sections (NT-68): each gets one address when it is made and is mapped there in every process. Their address
 * nodes, in front of the SECTION_OBJECTs in nonpaged pool, form a binary tree by address. However damaged it is, no
 * walk goes through more nodes than it has. */
#include "mi.h"

#define MM_HIGHEST_BASED_ADDRESS 0x7F000000u
#define X64K                     0x10000u

enum { NODE_START = 0x00, NODE_END = 0x04, NODE_PARENT = 0x08, NODE_LEFT = 0x0C, NODE_RIGHT = 0x10 };

static va_t MiNode(struct os *os, va_t node, unsigned field) { return MiRead32(os, node + field); }

/* A walk meets each node once and each link to the right once; *steps: those that are left to it. */
static va_t MiLastBased(struct os *os, va_t node, uint32_t *steps) {
    va_t right;
    for (; *steps && node && (right = MiNode(os, node, NODE_RIGHT)); (*steps)--) { node = right; }
    return node;
}

/* The next lower one. */
static va_t MiPreviousBased(struct os *os, va_t node, uint32_t *steps) {
    va_t left = MiNode(os, node, NODE_LEFT);
    if (left) { return MiLastBased(os, left, steps); }
    va_t parent = MiNode(os, node, NODE_PARENT);
    while (parent && MiNode(os, parent, NODE_LEFT) == node) { /* no circle: the first node has nothing to its left */
        node = parent;
        parent = MiNode(os, node, NODE_PARENT);
    }
    return parent;
}

/* The highest free range below the top; 0: none. */
static va_t MiFindBasedRange(struct os *os, va_t size) {
    uint32_t steps = 2 * os->MmBasedSections;
    va_t end = MM_HIGHEST_BASED_ADDRESS, node = MiLastBased(os, os->MmSectionBasedRoot, &steps);
    for (; steps && node; steps--, node = MiPreviousBased(os, node, &steps)) {
        va_t above = MiNode(os, node, NODE_END) + 1;
        if (end >= above + size) { break; }
        end = MiNode(os, node, NODE_START);
    }
    return end >= MM_LOWEST_USER_ADDRESS + size ? end - size : 0;
}

/* Where a pointer to the node stands: in its parent, or the root. */
static void MiReplaceChild(struct os *os, va_t parent, va_t node, va_t by) {
    if (!parent) {
        os->MmSectionBasedRoot = by;
    } else {
        unsigned side = MiNode(os, parent, NODE_LEFT) == node ? NODE_LEFT : NODE_RIGHT;
        MiWrite32(os, parent + side, (uint32_t)by);
    }
    if (by) { MiWrite32(os, by + NODE_PARENT, (uint32_t)parent); }
}

va_t MiBasedAddress(struct os *os, const struct section_object *section) {
    return MiNode(os, section->Address, NODE_START);
}

bool MiInsertBasedSection(struct os *os, struct section_object *section) {
    va_t size = (section->Size + X64K - 1) & ~(va_t)(X64K - 1);
    va_t start = MiFindBasedRange(os, size), node = section->Address, parent = 0;
    if (!start) { return false; }
    unsigned side = NODE_LEFT;
    va_t at = os->MmSectionBasedRoot;
    for (uint32_t down = os->MmBasedSections; down && at; down--, at = MiNode(os, at, side)) {
        parent = at;
        side = start < MiNode(os, at, NODE_START) ? NODE_LEFT : NODE_RIGHT;
    }
    uint32_t words[5] = {(uint32_t)start, (uint32_t)(start + size - 1), (uint32_t)parent, 0, 0};
    os->M->ops->write(os->M, node, words, sizeof words);
    if (parent) {
        MiWrite32(os, parent + side, (uint32_t)node);
    } else {
        os->MmSectionBasedRoot = node;
    }
    os->MmBasedSections++;
    section->ControlArea->BasedAddress = start;
    return true;
}

void MiRemoveBasedSection(struct os *os, struct section_object *section) {
    os->MmBasedSections--;
    va_t node = section->Address, left = MiNode(os, node, NODE_LEFT), right = MiNode(os, node, NODE_RIGHT);
    va_t parent = MiNode(os, node, NODE_PARENT);
    if (!left || !right) {
        MiReplaceChild(os, parent, node, left ? left : right);
        return;
    }
    uint32_t steps = os->MmBasedSections;
    va_t heir = MiLastBased(os, left, &steps); /* the highest below takes its place */
    if (heir != left) {
        MiReplaceChild(os, MiNode(os, heir, NODE_PARENT), heir, MiNode(os, heir, NODE_LEFT));
        MiWrite32(os, heir + NODE_LEFT, (uint32_t)left);
        MiWrite32(os, left + NODE_PARENT, (uint32_t)heir);
    }
    MiWrite32(os, heir + NODE_RIGHT, (uint32_t)right);
    MiWrite32(os, right + NODE_PARENT, (uint32_t)heir);
    MiReplaceChild(os, parent, node, heir);
}
