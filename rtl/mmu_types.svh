// Types, bit layouts and widths of the MMU: the one truth for every file in rtl/. They stand at $unit scope because
// that is the one place Verilator, Yosys and Icarus all take them from. The enums that cross the top's ports have the
// values of csrc/include/ntmmu/mmu.h and preset.h.
`ifndef MMU_TYPES_SVH
`define MMU_TYPES_SVH

localparam int VA_MAX = 48;  // bits of a linear address that are translated (4-level paging)
localparam int PA_MAX = 52;  // widest MAXPHYADDR

// Paging-structure entry bits, SDM volume 3, tables 4-4 to 4-19.
localparam int PTE_P = 0;
localparam int PTE_RW = 1;
localparam int PTE_US = 2;
localparam int PTE_PWT = 3;
localparam int PTE_A = 5;
localparam int PTE_D = 6;
localparam int PTE_PS = 7;
localparam int PTE_PAT = 7;          // of a 4 KB leaf
localparam int PTE_G = 8;
localparam int PTE_PAT_LARGE = 12;
localparam int PTE_NX = 63;
localparam int PDE_PSE36_LOW = 13;   // bits 20:13 of a 4 MB PDE are physical address bits 39:32
localparam int PDE_4M_RESERVED = 21;

// Control-register bits that paging looks at.
localparam int CR0_PE = 0;
localparam int CR0_WP = 16;
localparam int CR0_PG = 31;
localparam int CR3_KEEP = 63;
localparam int CR4_PSE = 4;
localparam int CR4_PAE = 5;
localparam int CR4_PGE = 7;
localparam int CR4_PCIDE = 17;
localparam int CR4_SMEP = 20;
localparam int CR4_SMAP = 21;
localparam int EFER_LME = 8;
localparam int EFER_LMA = 10;
localparam int EFER_NXE = 11;
localparam logic [63:0] PAT_RESET = 64'h0007040600070406;

// CPU features, by bit: enum cpu_feature.
localparam int CPU_PSE = 0;
localparam int CPU_PSE36 = 1;
localparam int CPU_PGE = 2;
localparam int CPU_PAE = 3;
localparam int CPU_NX = 4;
localparam int CPU_LONG = 5;
localparam int CPU_1G = 6;
localparam int CPU_PCID = 7;
localparam int CPU_INVPCID = 8;
localparam int CPU_SMEP = 9;
localparam int CPU_SMAP = 10;
localparam int CPU_PAT = 11;
localparam int CPU_FEATURES = 12;

// What an entry translates, by number: enum tlb_class.
localparam int CLASS_4K = 0;
localparam int CLASS_LARGE = 1;  // 4 MB in 32-bit paging, else 2 MB
localparam int CLASS_1G = 2;
localparam int CLASS_PDE = 3;
localparam int ALL_CLASSES = 4;

// Vectors a response can carry.
localparam logic [3:0] VECTOR_NONE = 4'd0;
localparam logic [3:0] VECTOR_UD = 4'd6;
localparam logic [3:0] VECTOR_GP = 4'd13;
localparam logic [3:0] VECTOR_PF = 4'd14;

localparam logic [2:0] MEMORY_WB = 3'd6;

// What the request port asks for: an access, or the write of a control register (by its number in paging.h).
typedef enum logic [2:0] {
    OP_CR0 = 3'd0,
    OP_CR3 = 3'd1,
    OP_CR4 = 3'd2,
    OP_EFER = 3'd3,
    OP_AC = 3'd4,
    OP_PAT = 3'd5,
    OP_ACCESS = 3'd6
} mmu_op_t;

typedef enum logic [1:0] {
    TYPE_READ = 2'd0,
    TYPE_WRITE = 2'd1,
    TYPE_FETCH = 2'd2,
    TYPE_MODIFY = 2'd3
} mmu_type_t;

typedef enum logic [1:0] {
    MODE_SUPERVISOR = 2'd0,
    MODE_USER = 2'd1,
    MODE_IMPLICIT = 2'd2
} mmu_mode_t;

typedef enum logic [2:0] {
    HIT_OFF = 3'd0,
    HIT_L1 = 3'd1,
    HIT_L2 = 3'd2,
    HIT_WALK = 3'd3,
    HIT_DIRTY = 3'd4
} mmu_hit_t;

// What the head request is at.
typedef enum logic [1:0] {
    H_LOOK = 2'd0,    // first level, or a control write's first cycle
    H_PROBE = 2'd1,   // second level
    H_WALK = 2'd2,
    H_PDPTE = 2'd3    // a control write that loads the PDPTE registers
} head_state_t;

// The walker waits in the state named after the access that is under way.
typedef enum logic [2:0] {
    W_IDLE = 3'd0,
    W_READ = 3'd1,
    W_UPPER_A = 3'd2,
    W_LEAF_AD = 3'd3
} walker_state_t;

// What an invalidation drops: the rows of rtl/README.md, "Invalidation".
typedef enum logic [2:0] {
    DROP_NONE = 3'd0,
    DROP_ALL = 3'd1,
    DROP_NONGLOBAL = 3'd2,   // without G
    DROP_CONTEXT = 3'd3,     // of the PCID, without G
    DROP_PAGE = 3'd4,        // of the address, global or of the PCID; fragments; class PDE
    DROP_PAGE_LOCAL = 3'd5,  // of the address and the PCID, without G; fragments; class PDE
    DROP_FAULT = 3'd6        // of the address, global or of the PCID, class PDE too; fragments
} drop_t;

// The paging context as the checks use it.
typedef struct packed {
    logic pg;
    logic lma;   // 4-level paging
    logic pae;   // 8-byte entries: PAE or 4-level
    logic pse;
    logic pge;
    logic nxe;
    logic wp;
    logic smep;
    logic smap;
    logic ac;
} paging_t;

// What all levels of a walk so far allow.
typedef struct packed {
    logic nx;
    logic us;
    logic rw;
} rights_t;

// What an entry keeps beside its tag: raw bits, no decision folded in. Of class PDE and in the paging-structure caches
// the frame is that of the table below, and only the rights count.
typedef struct packed {
    logic [39:0] frame;    // of 4 KB; from 0, because Yosys takes a part of a member by its distance from there
    logic [2:0] memory;  // PAT, PCD, PWT
    logic d;
    logic nx;
    logic us;
    logic rw;
} entry_t;
localparam int ENTRY_LOW = 7;    // bits of entry_t below the frame
localparam int ENTRY_BITS = 47;

// The rest of an entry, for the debug port.
typedef struct packed {
    logic fragment;
    logic g;
    logic [1:0] tlb_class;
    logic [11:0] pcid;
    logic [35:0] page;
} debug_tag_t;

// Hand-made bugs (tb/mutants.txt). Without MUTATE the macro leaves the good expression alone.
`ifdef MUTATE
`define MUT(n, good, bad) ((mut_sel == n) ? (bad) : (good))
`define MUT_PORT input logic [31:0] mut_sel,
`define MUT_CONNECT .mut_sel(mut_sel),
`else
`define MUT(n, good, bad) (good)
`define MUT_PORT
`define MUT_CONNECT
`endif

`endif
