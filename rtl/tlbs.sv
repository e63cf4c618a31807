// The TLBs: first and second level of the instruction and the data side, or of both where a level is unified. Asks the side
// of the access, tells both sides what an invalidation drops.
//
// All look-ups are combinational, all changes are made at the end of the cycle: see tlb_array.sv.
`default_nettype none
`include "mmu_types.svh"

module tlbs #(
    parameter int ITLB0_CLASSES = 1, parameter int ITLB0_SETS = 16, parameter int ITLB0_WAYS = 4,
    parameter int ITLB1_CLASSES = 2, parameter int ITLB1_SETS = 2, parameter int ITLB1_WAYS = 4,
    parameter int ITLB2_CLASSES = 4, parameter int ITLB2_SETS = 1, parameter int ITLB2_WAYS = 0,
    parameter int DTLB0_CLASSES = 1, parameter int DTLB0_SETS = 16, parameter int DTLB0_WAYS = 4,
    parameter int DTLB1_CLASSES = 2, parameter int DTLB1_SETS = 2, parameter int DTLB1_WAYS = 4,
    parameter int DTLB2_CLASSES = 4, parameter int DTLB2_SETS = 1, parameter int DTLB2_WAYS = 0,
    parameter int ISTLB0_CLASSES = 9, parameter int ISTLB0_SETS = 64, parameter int ISTLB0_WAYS = 4,
    parameter int ISTLB1_CLASSES = 1, parameter int ISTLB1_SETS = 1, parameter int ISTLB1_WAYS = 0,
    parameter int DSTLB0_CLASSES = 1, parameter int DSTLB0_SETS = 1, parameter int DSTLB0_WAYS = 0,
    parameter int DSTLB1_CLASSES = 1, parameter int DSTLB1_SETS = 1, parameter int DSTLB1_WAYS = 0,
    parameter int L1_UNIFIED = 0,          // 1: both sides use the instruction side's arrays
    parameter int L2_UNIFIED = 1,
    parameter int REPLACEMENT = 0,         // 0 = true LRU, 1 = tree pseudo-LRU, 2 = random
    parameter int SEED = 1,
    parameter int POSSIBLE = 7,            // page classes that the CPU's paging modes can have
    parameter int VA_BITS = 32,
    parameter int PA_BITS = 40,
    parameter int PCID_BITS = 1
) (
    input logic clk,
    input logic rst_n,
    `MUT_PORT
    input logic [VA_MAX-1:12] va,
    input logic [26:0] va_large,
    input logic [11:0] pcid,
    input logic instruction,               // side of the access
    // first level
    input logic look,
    output logic l1_hit,
    output logic [1:0] l1_class,
    output logic [3:0] l1_number,          // of the array that hit, enum mmu_array
    output entry_t l1_entry,
    input logic l1_touch,
    input logic l1_fill,
    input logic [1:0] l1_fill_class,
    input entry_t l1_fill_entry,
    input logic l1_fill_global,
    // second level, if there is one
    /* verilator lint_off UNUSEDSIGNAL */
    input logic l2_read,
    input logic [1:0] l2_read_step,
    input logic l2_look,
    input logic [1:0] l2_step,
    output logic l2_hit,
    output logic [1:0] l2_hit_class,
    output logic [1:0] l2_hit_array,
    output logic [5:0] l2_hit_way,
    output logic l2_hit_global,
    output logic l2_pde_hit,
    output logic [5:0] l2_pde_hit_way,
    input logic l2_use,
    input logic l2_found,
    input logic [1:0] l2_class,
    input logic [5:0] l2_way,
    input logic [5:0] l2_pde_way,
    output entry_t l2_entry,
    output entry_t l2_pde_entry,
    input logic l2_touch,
    input logic l2_fill,
    input logic [1:0] walk_class,
    input entry_t walk_entry,
    input logic walk_global,
    input logic pde_touch,
    input logic pde_fill,
    input entry_t pde_entry,
    // invalidation
    input drop_t drop_l1_i,                // all the same, but for a mutant
    input drop_t drop_l1_d,
    input drop_t drop_l2,
    /* verilator lint_on UNUSEDSIGNAL */
    // debug
    /* verilator lint_off UNUSEDSIGNAL */
    input logic [9:0] debug_select,        // of each array
    /* verilator lint_on UNUSEDSIGNAL */
    input logic [1:0] debug_field,
    input logic [9:0] debug_set,
    input logic [5:0] debug_way,
    output logic [63:0] debug_word
);
    localparam int L2_I = ISTLB0_WAYS + ISTLB1_WAYS;
    localparam int L2_D = L2_UNIFIED != 0 ? 0 : DSTLB0_WAYS + DSTLB1_WAYS;

    // What a level does not have is all zeros; not all of it is asked.
    /* verilator lint_off UNUSEDSIGNAL */
    logic here_l1_i, here_l1_d, here_l2_i, here_l2_d;
    logic [1:0] l1_op_class, l2_op_class;
    logic l1_i_hit, l1_i_global, l1_i_pde_hit;
    logic [1:0] l1_i_class, l1_i_array;
    logic [5:0] l1_i_way, l1_i_pde_way;
    entry_t l1_i_entry, l1_i_pde_entry;
    logic [63:0] l1_i_debug;
    logic l1_d_hit, l1_d_global, l1_d_pde_hit;
    logic [1:0] l1_d_class, l1_d_array;
    logic [5:0] l1_d_way, l1_d_pde_way;
    entry_t l1_d_entry, l1_d_pde_entry;
    logic [63:0] l1_d_debug;
    logic l2_i_hit, l2_i_global, l2_i_pde_hit;
    logic [1:0] l2_i_class, l2_i_array;
    logic [5:0] l2_i_way, l2_i_pde_way;
    entry_t l2_i_entry, l2_i_pde_entry;
    logic [63:0] l2_i_debug;
    logic l2_d_hit, l2_d_global, l2_d_pde_hit;
    logic [1:0] l2_d_class, l2_d_array;
    logic [5:0] l2_d_way, l2_d_pde_way;
    entry_t l2_d_entry, l2_d_pde_entry;
    logic [63:0] l2_d_debug;
    /* verilator lint_on UNUSEDSIGNAL */

    always_comb begin : route
        here_l1_i = instruction || L1_UNIFIED != 0;
        here_l1_d = !here_l1_i;
        here_l2_i = instruction || L2_UNIFIED != 0;
        here_l2_d = !here_l2_i;
        l1_hit = l1_i_hit || l1_d_hit;
        l1_class = l1_i_class | l1_d_class;
        l1_number = l1_i_hit ? {2'd0, l1_i_array} : 4'd3 + {2'd0, l1_d_array};
        l1_entry = l1_i_entry | l1_d_entry;
        l1_op_class = l1_fill ? l1_fill_class : l1_class;
        l2_hit = l2_i_hit || l2_d_hit;
        l2_hit_class = l2_i_class | l2_d_class;
        l2_hit_array = l2_i_array | l2_d_array;
        l2_hit_way = l2_i_way | l2_d_way;
        l2_hit_global = l2_i_global | l2_d_global;
        l2_pde_hit = l2_i_pde_hit || l2_d_pde_hit;
        l2_pde_hit_way = l2_i_pde_way | l2_d_pde_way;
        l2_entry = l2_i_entry | l2_d_entry;
        l2_pde_entry = l2_i_pde_entry | l2_d_pde_entry;
        l2_op_class = l2_fill ? walk_class : l2_class;
    end

    generate
        if (ITLB0_WAYS + ITLB1_WAYS + ITLB2_WAYS != 0) begin : g_l1_i
            tlb_level #(.LEVEL(1), .FIRST(0),
                .CLASSES0(ITLB0_CLASSES), .SETS0(ITLB0_SETS), .WAYS0(ITLB0_WAYS),
                .CLASSES1(ITLB1_CLASSES), .SETS1(ITLB1_SETS), .WAYS1(ITLB1_WAYS),
                .CLASSES2(ITLB2_CLASSES), .SETS2(ITLB2_SETS), .WAYS2(ITLB2_WAYS),
                .VA_BITS(VA_BITS), .PA_BITS(PA_BITS), .PCID_BITS(PCID_BITS), .REPLACEMENT(REPLACEMENT), .SEED(SEED),
                .POSSIBLE(POSSIBLE)) u_level (
                .clk(clk), .rst_n(rst_n), `MUT_CONNECT .va(va), .va_large(va_large), .pcid(pcid),
                .look(look && here_l1_i), .step(2'd0), .hit(l1_i_hit), .hit_class(l1_i_class), .hit_array(l1_i_array),
                .hit_way(l1_i_way), .hit_global(l1_i_global), .pde_hit(l1_i_pde_hit), .pde_hit_way(l1_i_pde_way),
                .read(1'b0), .read_step(2'd0), .entry_use(1'b0), .entry_page(1'b0), .entry_class(2'd0), .entry_way(6'd0),
                .hit_entry(l1_i_entry), .hit_pde_entry(l1_i_pde_entry),
                .touch(l1_touch && here_l1_i), .leaf_fill(l1_fill && here_l1_i), .leaf_class(l1_op_class),
                .touch_way(l1_i_way), .fill_entry(l1_fill_entry), .fill_global(l1_fill_global), .pde_touch(1'b0),
                .pde_fill(1'b0), .pde_way(6'd0), .pde_entry(47'd0), .drop(drop_l1_i),
                .debug_select(debug_select[2:0]),
                .debug_set(debug_set), .debug_way(debug_way), .debug_field(debug_field), .debug_word(l1_i_debug));
        end else begin : g_no_l1_i
            assign l1_i_hit = '0;
            assign l1_i_class = '0;
            assign l1_i_array = '0;
            assign l1_i_way = '0;
            assign l1_i_global = '0;
            assign l1_i_pde_hit = '0;
            assign l1_i_pde_way = '0;
            assign l1_i_entry = '0;
            assign l1_i_pde_entry = '0;
            assign l1_i_debug = '0;
        end
        if (L1_UNIFIED == 0 && DTLB0_WAYS + DTLB1_WAYS + DTLB2_WAYS != 0) begin : g_l1_d
            tlb_level #(.LEVEL(1), .FIRST(3),
                .CLASSES0(DTLB0_CLASSES), .SETS0(DTLB0_SETS), .WAYS0(DTLB0_WAYS),
                .CLASSES1(DTLB1_CLASSES), .SETS1(DTLB1_SETS), .WAYS1(DTLB1_WAYS),
                .CLASSES2(DTLB2_CLASSES), .SETS2(DTLB2_SETS), .WAYS2(DTLB2_WAYS),
                .VA_BITS(VA_BITS), .PA_BITS(PA_BITS), .PCID_BITS(PCID_BITS), .REPLACEMENT(REPLACEMENT), .SEED(SEED),
                .POSSIBLE(POSSIBLE)) u_level (
                .clk(clk), .rst_n(rst_n), `MUT_CONNECT .va(va), .va_large(va_large), .pcid(pcid),
                .look(look && here_l1_d), .step(2'd0), .hit(l1_d_hit), .hit_class(l1_d_class), .hit_array(l1_d_array),
                .hit_way(l1_d_way), .hit_global(l1_d_global), .pde_hit(l1_d_pde_hit), .pde_hit_way(l1_d_pde_way),
                .read(1'b0), .read_step(2'd0), .entry_use(1'b0), .entry_page(1'b0), .entry_class(2'd0), .entry_way(6'd0),
                .hit_entry(l1_d_entry), .hit_pde_entry(l1_d_pde_entry),
                .touch(l1_touch && here_l1_d), .leaf_fill(l1_fill && here_l1_d), .leaf_class(l1_op_class),
                .touch_way(l1_d_way), .fill_entry(l1_fill_entry), .fill_global(l1_fill_global), .pde_touch(1'b0),
                .pde_fill(1'b0), .pde_way(6'd0), .pde_entry(47'd0), .drop(drop_l1_d),
                .debug_select(debug_select[5:3]),
                .debug_set(debug_set), .debug_way(debug_way), .debug_field(debug_field), .debug_word(l1_d_debug));
        end else begin : g_no_l1_d
            assign l1_d_hit = '0;
            assign l1_d_class = '0;
            assign l1_d_array = '0;
            assign l1_d_way = '0;
            assign l1_d_global = '0;
            assign l1_d_pde_hit = '0;
            assign l1_d_pde_way = '0;
            assign l1_d_entry = '0;
            assign l1_d_pde_entry = '0;
            assign l1_d_debug = '0;
        end
        if (L2_I != 0) begin : g_l2_i
            tlb_level #(.LEVEL(2), .FIRST(6),
                .CLASSES0(ISTLB0_CLASSES), .SETS0(ISTLB0_SETS), .WAYS0(ISTLB0_WAYS),
                .CLASSES1(ISTLB1_CLASSES), .SETS1(ISTLB1_SETS), .WAYS1(ISTLB1_WAYS),
                .CLASSES2(4), .SETS2(1), .WAYS2(0),
                .VA_BITS(VA_BITS), .PA_BITS(PA_BITS), .PCID_BITS(PCID_BITS), .REPLACEMENT(REPLACEMENT), .SEED(SEED),
                .POSSIBLE(POSSIBLE)) u_level (
                .clk(clk), .rst_n(rst_n), `MUT_CONNECT .va(va), .va_large(va_large), .pcid(pcid),
                .look(l2_look && here_l2_i), .step(l2_step), .hit(l2_i_hit), .hit_class(l2_i_class),
                .hit_array(l2_i_array), .hit_way(l2_i_way), .hit_global(l2_i_global), .pde_hit(l2_i_pde_hit),
                .pde_hit_way(l2_i_pde_way), .read(l2_read && here_l2_i), .read_step(l2_read_step),
                .entry_use(l2_use && here_l2_i), .entry_page(l2_found), .entry_class(l2_class), .entry_way(l2_way),
                .hit_entry(l2_i_entry), .hit_pde_entry(l2_i_pde_entry),
                .touch(l2_touch && here_l2_i), .leaf_fill(l2_fill && here_l2_i), .leaf_class(l2_op_class),
                .touch_way(l2_way), .fill_entry(walk_entry), .fill_global(walk_global),
                .pde_touch(pde_touch && here_l2_i), .pde_fill(pde_fill && here_l2_i), .pde_way(l2_pde_way),
                .pde_entry(pde_entry), .drop(drop_l2),
                .debug_select({1'b0, debug_select[7:6]}),
                .debug_set(debug_set), .debug_way(debug_way), .debug_field(debug_field), .debug_word(l2_i_debug));
        end else begin : g_no_l2_i
            assign l2_i_hit = '0;
            assign l2_i_class = '0;
            assign l2_i_array = '0;
            assign l2_i_way = '0;
            assign l2_i_global = '0;
            assign l2_i_pde_hit = '0;
            assign l2_i_pde_way = '0;
            assign l2_i_entry = '0;
            assign l2_i_pde_entry = '0;
            assign l2_i_debug = '0;
        end
        if (L2_D != 0) begin : g_l2_d
            tlb_level #(.LEVEL(2), .FIRST(8),
                .CLASSES0(DSTLB0_CLASSES), .SETS0(DSTLB0_SETS), .WAYS0(DSTLB0_WAYS),
                .CLASSES1(DSTLB1_CLASSES), .SETS1(DSTLB1_SETS), .WAYS1(DSTLB1_WAYS),
                .CLASSES2(4), .SETS2(1), .WAYS2(0),
                .VA_BITS(VA_BITS), .PA_BITS(PA_BITS), .PCID_BITS(PCID_BITS), .REPLACEMENT(REPLACEMENT), .SEED(SEED),
                .POSSIBLE(POSSIBLE)) u_level (
                .clk(clk), .rst_n(rst_n), `MUT_CONNECT .va(va), .va_large(va_large), .pcid(pcid),
                .look(l2_look && here_l2_d), .step(l2_step), .hit(l2_d_hit), .hit_class(l2_d_class),
                .hit_array(l2_d_array), .hit_way(l2_d_way), .hit_global(l2_d_global), .pde_hit(l2_d_pde_hit),
                .pde_hit_way(l2_d_pde_way), .read(l2_read && here_l2_d), .read_step(l2_read_step),
                .entry_use(l2_use && here_l2_d), .entry_page(l2_found), .entry_class(l2_class), .entry_way(l2_way),
                .hit_entry(l2_d_entry), .hit_pde_entry(l2_d_pde_entry),
                .touch(l2_touch && here_l2_d), .leaf_fill(l2_fill && here_l2_d), .leaf_class(l2_op_class),
                .touch_way(l2_way), .fill_entry(walk_entry), .fill_global(walk_global),
                .pde_touch(pde_touch && here_l2_d), .pde_fill(pde_fill && here_l2_d), .pde_way(l2_pde_way),
                .pde_entry(pde_entry), .drop(drop_l2),
                .debug_select({1'b0, debug_select[9:8]}),
                .debug_set(debug_set), .debug_way(debug_way), .debug_field(debug_field), .debug_word(l2_d_debug));
        end else begin : g_no_l2_d
            assign l2_d_hit = '0;
            assign l2_d_class = '0;
            assign l2_d_array = '0;
            assign l2_d_way = '0;
            assign l2_d_global = '0;
            assign l2_d_pde_hit = '0;
            assign l2_d_pde_way = '0;
            assign l2_d_entry = '0;
            assign l2_d_pde_entry = '0;
            assign l2_d_debug = '0;
        end
    endgenerate
    assign debug_word = l1_i_debug | l1_d_debug | l2_i_debug | l2_d_debug;
endmodule
`default_nettype wire
