// One level of TLBs of one side, or of both if it is unified: up to three arrays, of which no two take the same class. A
// level that does not exist is not instantiated.
//
//   cycle        t       t+1
//   look         __/---\___
//   hit, …       <  A  >            combinational in t: the smallest class (first level), the lowest array (second)
//   fill         __/---\___         the array that takes the entry, and the drop of other classes, at the end of t
`default_nettype none
`include "mmu_types.svh"

module tlb_level #(
    parameter int LEVEL = 1,
    parameter int FIRST = 0,           // number of the first array, enum mmu_array
    parameter int CLASSES0 = 1, parameter int SETS0 = 16, parameter int WAYS0 = 4,
    parameter int CLASSES1 = 2, parameter int SETS1 = 2, parameter int WAYS1 = 4,
    parameter int CLASSES2 = 4, parameter int SETS2 = 1, parameter int WAYS2 = 0,
    parameter int VA_BITS = 32,
    parameter int PA_BITS = 40,
    parameter int PCID_BITS = 1,
    parameter int REPLACEMENT = 0,
    parameter int SEED = 1,
    parameter int POSSIBLE = 7         // page classes that the CPU's paging modes can have
) (
    input logic clk,
    input logic rst_n,
    `MUT_PORT
    input logic [VA_MAX-1:12] va,
    input logic [26:0] va_large,
    input logic [11:0] pcid,
    // look-up
    input logic look,
    input logic [1:0] step,            // second level: which of its classes each array looks for
    output logic hit,
    output logic [1:0] hit_class,
    output logic [1:0] hit_array,      // 0..2
    output logic [5:0] hit_way,
    output logic hit_global,
    output logic pde_hit,
    output logic [5:0] pde_hit_way,
    // second level: rows are read a cycle ahead, and entries picked by what was found
    input logic read,
    input logic [1:0] read_step,
    input logic entry_use,
    input logic entry_page,            // a page was found, of class and way:
    input logic [1:0] entry_class,
    input logic [5:0] entry_way,
    output entry_t hit_entry,
    output entry_t hit_pde_entry,
    // changes, see tlb_array.sv
    input logic touch,
    input logic leaf_fill,             // of a leaf of class leaf_class
    input logic [1:0] leaf_class,
    input logic [5:0] touch_way,
    input entry_t fill_entry,
    input logic fill_global,
    input logic pde_touch,
    input logic pde_fill,
    input logic [5:0] pde_way,
    input entry_t pde_entry,
    input drop_t drop,
    // debug
    /* verilator lint_off UNUSEDSIGNAL */
    input logic [2:0] debug_select,    // of each array
    /* verilator lint_on UNUSEDSIGNAL */
    input logic [1:0] debug_field,
    input logic [9:0] debug_set,
    input logic [5:0] debug_way,
    output logic [63:0] debug_word
);
    localparam int TAKEN = (WAYS0 != 0 ? CLASSES0 : 0) | (WAYS1 != 0 ? CLASSES1 : 0) | (WAYS2 != 0 ? CLASSES2 : 0);
    // Classes below a page class that no first-level array takes: their entries can be parts of such a page.
    localparam int FRAGMENTS = LEVEL != 1 ? 0 : POSSIBLE[2] && !TAKEN[2] ? 3 : POSSIBLE[1] && !TAKEN[1] ? 1 : 0;

    logic hit_0, hit_1, hit_2, global_0, global_1, global_2, pde_hit_0, pde_hit_1, pde_hit_2;
    logic [1:0] class_0, class_1, class_2;
    logic [5:0] way_0, way_1, way_2, pde_way_0, pde_way_1, pde_way_2;
    entry_t entry_0, entry_1, entry_2;
    /* verilator lint_off UNUSEDSIGNAL */
    entry_t found;                     // first level
    logic touch_0, touch_1, touch_2;   // of each array
    /* verilator lint_on UNUSEDSIGNAL */
    logic [63:0] debug_0, debug_1, debug_2;
    logic fill, fill_fragment, change;
    logic [1:0] op_class;

    // ---- look-up ----
    always_comb begin : select
        hit = hit_0 || hit_1 || hit_2;
        hit_class = class_0;
        hit_array = 2'd0;
        hit_way = way_0;
        hit_global = global_0;
        found = entry_0;
        if (hit) begin
            if (hit_1 && (!hit_0 || (LEVEL == 1 && class_1 < class_0))) begin
                hit_class = class_1;
                hit_array = 2'd1;
                hit_way = way_1;
                hit_global = global_1;
                found = entry_1;
            end
            if (hit_2 && (!(hit_0 || hit_1) || (LEVEL == 1 && class_2 < hit_class))) begin
                hit_class = class_2;
                hit_array = 2'd2;
                hit_way = way_2;
                hit_global = global_2;
                found = entry_2;
            end
        end
        pde_hit = pde_hit_0 || pde_hit_1 || pde_hit_2;
        pde_hit_way = pde_way_0 | pde_way_1 | pde_way_2;
    end

    generate
        if (LEVEL == 1) begin : g_first
            assign hit_entry = found;
            assign hit_pde_entry = '0;
        end else begin : g_second
            always_comb begin : pick
                hit_entry = '0;
                hit_pde_entry = '0;
                if (entry_use) begin
                    hit_entry = CLASSES0[{3'd0, entry_class}] ? entry_0 : CLASSES1[{3'd0, entry_class}] ? entry_1 : entry_2;
                    hit_pde_entry = CLASSES0[3] ? entry_0 : CLASSES1[3] ? entry_1 : entry_2;
                end
            end
        end
    endgenerate

    // ---- which class a leaf is filled as: in the first level the largest not above its own that an array takes ----
    always_comb begin : choose_class
        fill = leaf_fill;
        change = leaf_fill || pde_touch || pde_fill || drop != DROP_NONE;
        fill_fragment = 1'b0;
        op_class = `MUT(67, leaf_class, leaf_fill && LEVEL == 2 && TAKEN[0] ? 2'd0 : leaf_class);
        if (LEVEL == 1 && leaf_fill && !TAKEN[{3'd0, leaf_class}]) begin
            fill_fragment = 1'b1;
            if (leaf_class == 2'd2 && TAKEN[1]) begin
                op_class = 2'd1;
            end else if (leaf_class != 2'd0 && TAKEN[0]) begin
                op_class = 2'd0;
            end else begin
                fill = 1'b0;
            end
        end
        touch_0 = 1'b0;
        touch_1 = 1'b0;
        touch_2 = 1'b0;
        if (touch) begin
            touch_0 = CLASSES0[{3'd0, leaf_class}];
            touch_1 = CLASSES1[{3'd0, leaf_class}];
            touch_2 = CLASSES2[{3'd0, leaf_class}];
        end
    end

    // ---- the arrays ----
    generate
        if (WAYS0 != 0) begin : g_0
            tlb_array #(.NUMBER(FIRST + 0), .LEVEL(LEVEL), .CLASSES(CLASSES0), .SETS(SETS0), .WAYS(WAYS0), .VA_BITS(VA_BITS),
                .PA_BITS(PA_BITS), .PCID_BITS(PCID_BITS), .FRAGMENTS(CLASSES0 & FRAGMENTS), .REPLACEMENT(REPLACEMENT),
                .SEED(SEED)) u_array (
                .*, .touch(touch_0), .hit(hit_0), .hit_class(class_0), .hit_way(way_0), .hit_global(global_0),
                .hit_entry(entry_0), .pde_hit(pde_hit_0),
                .pde_hit_way(pde_way_0), .entry_way(entry_page && CLASSES0[{3'd0, entry_class}] ? entry_way : pde_way),
                .debug_read(debug_select[0]), .debug_word(debug_0));
        end else begin : g_no_0
            assign hit_0 = 1'b0;
            assign class_0 = '0;
            assign way_0 = '0;
            assign global_0 = 1'b0;
            assign entry_0 = '0;
            assign pde_hit_0 = 1'b0;
            assign pde_way_0 = '0;
            assign debug_0 = '0;
        end
        if (WAYS1 != 0) begin : g_1
            tlb_array #(.NUMBER(FIRST + 1), .LEVEL(LEVEL), .CLASSES(CLASSES1), .SETS(SETS1), .WAYS(WAYS1), .VA_BITS(VA_BITS),
                .PA_BITS(PA_BITS), .PCID_BITS(PCID_BITS), .FRAGMENTS(CLASSES1 & FRAGMENTS), .REPLACEMENT(REPLACEMENT),
                .SEED(SEED)) u_array (
                .*, .touch(touch_1), .hit(hit_1), .hit_class(class_1), .hit_way(way_1), .hit_global(global_1),
                .hit_entry(entry_1), .pde_hit(pde_hit_1),
                .pde_hit_way(pde_way_1), .entry_way(entry_page && CLASSES1[{3'd0, entry_class}] ? entry_way : pde_way),
                .debug_read(debug_select[1]), .debug_word(debug_1));
        end else begin : g_no_1
            assign hit_1 = 1'b0;
            assign class_1 = '0;
            assign way_1 = '0;
            assign global_1 = 1'b0;
            assign entry_1 = '0;
            assign pde_hit_1 = 1'b0;
            assign pde_way_1 = '0;
            assign debug_1 = '0;
        end
        if (WAYS2 != 0) begin : g_2
            tlb_array #(.NUMBER(FIRST + 2), .LEVEL(LEVEL), .CLASSES(CLASSES2), .SETS(SETS2), .WAYS(WAYS2), .VA_BITS(VA_BITS),
                .PA_BITS(PA_BITS), .PCID_BITS(PCID_BITS), .FRAGMENTS(CLASSES2 & FRAGMENTS), .REPLACEMENT(REPLACEMENT),
                .SEED(SEED)) u_array (
                .*, .touch(touch_2), .hit(hit_2), .hit_class(class_2), .hit_way(way_2), .hit_global(global_2),
                .hit_entry(entry_2), .pde_hit(pde_hit_2),
                .pde_hit_way(pde_way_2), .entry_way(entry_page && CLASSES2[{3'd0, entry_class}] ? entry_way : pde_way),
                .debug_read(debug_select[2]), .debug_word(debug_2));
        end else begin : g_no_2
            assign hit_2 = 1'b0;
            assign class_2 = '0;
            assign way_2 = '0;
            assign global_2 = 1'b0;
            assign entry_2 = '0;
            assign pde_hit_2 = 1'b0;
            assign pde_way_2 = '0;
            assign debug_2 = '0;
        end
    endgenerate
    assign debug_word = debug_0 | debug_1 | debug_2;

    // Each class stands in one array at most, and a first-level array takes pages only.
    initial begin
        if ((WAYS0 != 0 && WAYS1 != 0 && (CLASSES0 & CLASSES1) != 0) || (WAYS2 != 0 && (CLASSES2 & (CLASSES0 | CLASSES1)) != 0) ||
            (LEVEL == 1 && TAKEN[3])) begin
            $fatal(1, "tlb_level: a class stands in two arrays, or is none of the level's");
        end
    end
endmodule
`default_nettype wire
