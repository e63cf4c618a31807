// Where in an array the entry for an address stands: its set, and the key (class if the array has several, and tag) that
// its tag word begins with.
//
// Combinational: page -> set, key in the same cycle.
`default_nettype none
`include "mmu_types.svh"

module tlb_key #(
    parameter int CLASS = 0,
    parameter int SEVERAL = 0,     // 1: the array has entries of several classes
    parameter int INDEX_BITS = 4,
    parameter int SET_BITS = 4,
    parameter int TAG_BITS = 16,
    parameter int KEY_BITS = 16
) (
    /* verilator lint_off UNUSEDSIGNAL */
    input logic [35:0] page,       // page number of the class
    /* verilator lint_on UNUSEDSIGNAL */
    output logic [SET_BITS-1:0] set,
    output logic [KEY_BITS-1:0] key
);
    generate
        if (INDEX_BITS == 0) begin : g_one_set
            assign set = '0;
        end else begin : g_sets
            assign set = page[SET_BITS-1:0];
        end
        if (SEVERAL != 0) begin : g_several
            assign key = {2'(CLASS), page[INDEX_BITS +: TAG_BITS]};
        end else begin : g_one_class
            assign key = page[INDEX_BITS +: TAG_BITS];
        end
    endgenerate
endmodule
`default_nettype wire
