// One array as the proofs see it: tlb_array.sv with whatever touches, fills and invalidations its ports allow, in any order, of
// any page, class and PCID that four address bits, two bits of the large page number and one PCID bit make. The debug port
// looks at it in every cycle.
`default_nettype none
`include "mmu_types.svh"

module small_array #(
    parameter int LEVEL = 1,
    parameter int CLASSES = 3,
    parameter int SETS = 2,
    parameter int WAYS = 2,
    parameter int FRAGMENTS = 0,
    parameter int REPLACEMENT = 0
) (
    input logic clk,
    input logic rst_n,
    // what the world chooses
    input logic [3:0] page,              // bits 12, 13, 21 and 30 of the address
    input logic [1:0] large,             // bits 0 and 1 of the large page number
    input logic pcid_bit,
    input logic [2:0] act,               // 0, 1 = nothing, 2 = touch, 3 = fill, 4 = drop …
    input logic [2:0] act_drop,
    input logic [1:0] act_class,
    input logic [1:0] act_pde,           // 1 = touch, 2 = fill, of a PDE entry
    input logic act_global,
    input logic act_fragment,
    input logic [1:0] act_way,
    input logic [1:0] act_pde_way,
    // what it comes to
    output logic [VA_MAX-1:12] va,
    output logic [26:0] va_large,
    output logic touch,
    output logic fill,
    output logic pde_touch,
    output logic pde_fill,
    output drop_t drop,
    output logic change,
    // debug port
    input logic tag,                     // the tag of a way, else the set's valid bits
    input logic set,
    input logic [1:0] way,
    output logic [63:0] debug_word
);
    logic several;
    logic hit, hit_global, pde_hit;
    logic [1:0] hit_class;
    logic [5:0] hit_way, pde_hit_way;
    entry_t hit_entry;
`ifdef MUTATE
    wire [31:0] mut_sel = `MUTANT;
`endif

    // What tlbs.sv and psc.sv never ask for: a change beside a drop, a class that the array does not have, PDE entries of
    // their own outside the second level, global ones in a paging-structure cache.
    always_comb begin : world
        va = '0;
        va[13:12] = page[1:0];
        va[21] = page[2];
        va[30] = page[3];
        va_large = {25'd0, large};
        several = CLASSES[{3'd0, act_class}] && !(LEVEL == 2 && act_class == 2'd3);
        touch = act == 3'd2 && several && 32'(act_way) < WAYS;
        fill = act == 3'd3 && several;
        pde_touch = LEVEL == 2 && CLASSES[3] && act[2:1] == 2'd1 && act_pde == 2'd1 && 32'(act_pde_way) < WAYS;
        pde_fill = LEVEL == 2 && CLASSES[3] && act[2:1] == 2'd1 && act_pde == 2'd2;
        drop = DROP_NONE;
        if (act[2]) begin
            case (act_drop)
                3'd1: drop = DROP_ALL;
                3'd2: drop = DROP_NONGLOBAL;
                3'd3: drop = DROP_CONTEXT;
                3'd4: drop = DROP_PAGE;
                3'd5: drop = DROP_PAGE_LOCAL;
                3'd6: drop = DROP_FAULT;
                default: ;
            endcase
        end
        change = fill || pde_touch || pde_fill || drop != DROP_NONE;
    end

    tlb_array #(.NUMBER(1), .LEVEL(LEVEL), .CLASSES(CLASSES), .SETS(SETS), .WAYS(WAYS), .VA_BITS(32), .PA_BITS(40),
        .PCID_BITS(1), .FRAGMENTS(FRAGMENTS), .REPLACEMENT(REPLACEMENT)) u_array (
        .clk(clk), .rst_n(rst_n), `MUT_CONNECT .va(va), .va_large(va_large), .pcid({11'd0, pcid_bit}), .look(1'b0),
        .step(2'd0), .hit(hit), .hit_class(hit_class), .hit_way(hit_way), .hit_global(hit_global), .hit_entry(hit_entry),
        .pde_hit(pde_hit), .pde_hit_way(pde_hit_way), .read(1'b0), .read_step(2'd0), .entry_use(1'b0), .entry_way(6'd0),
        .touch(touch), .fill(fill), .op_class(act_class), .touch_way({4'd0, act_way}), .fill_entry(47'd0),
        .fill_global(act_global && LEVEL != 3), .fill_fragment(act_fragment && FRAGMENTS != 0), .pde_touch(pde_touch),
        .pde_fill(pde_fill), .pde_way({4'd0, act_pde_way}), .pde_entry(47'd0), .drop(drop), .change(change),
        .debug_read(1'b1), .debug_field({1'b0, tag}), .debug_set(SETS > 1 ? {9'd0, set} : 10'd0),
        .debug_way({4'd0, way}), .debug_word(debug_word));
endmodule
`default_nettype wire
