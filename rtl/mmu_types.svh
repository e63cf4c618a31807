// Types, bit layouts and widths of the MMU: the one truth for every file in rtl/. They stand at $unit scope because
// that is the one place Verilator, Yosys and Icarus all take them from. The enums that cross the top's ports have the
// values of csrc/include/ntmmu/mmu.h.
`ifndef MMU_TYPES_SVH
`define MMU_TYPES_SVH

localparam int VA_BITS = 32;     // linear address
localparam int PA_BITS = 40;     // widest MAXPHYADDR that 32-bit paging reaches (PSE-36)
localparam int ENTRY_BITS = 32;  // paging-structure entry
localparam int SHIFT_4K = 12;
localparam int SHIFT_4M = 22;

// Paging-structure entry bits, SDM volume 3, tables 4-4 to 4-6.
localparam int PTE_P = 0;
localparam int PTE_RW = 1;
localparam int PTE_US = 2;
localparam int PTE_A = 5;
localparam int PTE_D = 6;
localparam int PTE_PS = 7;
localparam int PTE_G = 8;
localparam int PDE_PSE36_LOW = 13;   // bits 20:13 of a 4 MB PDE are physical address bits 39:32
localparam int PDE_4M_RESERVED = 21;

// Control-register bits that paging looks at.
localparam int CR0_PE = 0;
localparam int CR0_WP = 16;
localparam int CR0_PG = 31;
localparam int CR4_PSE = 4;
localparam int CR4_PAE = 5;
localparam int CR4_PGE = 7;
localparam int CR4_SMEP = 20;
localparam int CR4_SMAP = 21;

// Vectors a response can carry.
localparam logic [3:0] VECTOR_NONE = 4'd0;
localparam logic [3:0] VECTOR_GP = 4'd13;
localparam logic [3:0] VECTOR_PF = 4'd14;

// What the request port asks for: an access, or an operation that changes the paging context.
typedef enum logic [2:0] {
    OP_CR0 = 3'd0,
    OP_CR3 = 3'd1,
    OP_CR4 = 3'd2,
    OP_EFER = 3'd3,
    OP_AC = 3'd4,
    OP_INVLPG = 3'd5,
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

typedef enum logic [1:0] {
    HIT_OFF = 2'd0,
    HIT_L1 = 2'd1,
    HIT_WALK = 2'd2,
    HIT_DIRTY = 2'd3
} mmu_hit_t;

// The walker waits in the state named after the access that is under way.
typedef enum logic [2:0] {
    W_IDLE = 3'd0,
    W_PDE = 3'd1,
    W_PTE = 3'd2,
    W_PDE_A = 3'd3,
    W_LEAF_AD = 3'd4
} walker_state_t;

// The paging context as the checks use it.
typedef struct packed {
    logic pg;
    logic wp;
    logic pse;
    logic pge;
    logic smep;
    logic smap;
    logic ac;
} paging_t;

// What a TLB entry keeps of the walk beside the frame: raw bits, no decision folded in.
typedef struct packed {
    logic g;
    logic d;
    logic us;
    logic rw;
} rights_t;

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
