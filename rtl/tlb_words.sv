// What the entries of a first-level array or paging-structure cache translate to: one word each, read in the cycle of
// the look-up.
//
//   cycle        t       t+1
//   read, slot   __/---\___
//   entry        <entry>            combinational in t
//   write        __/---\___         written at the end of t
`default_nettype none
`include "mmu_types.svh"

module tlb_words #(
    parameter int SLOTS = 64,
    parameter int SLOT_BITS = 6,
    parameter int PA_BITS = 40,
    parameter int FRAME_LOW = 12   // lowest frame bit that is kept
) (
    input logic clk,
    input logic read,
    input logic [SLOT_BITS-1:0] slot,
    output entry_t entry,
    input logic write,
    input logic [SLOT_BITS-1:0] write_slot,
    /* verilator lint_off UNUSEDSIGNAL */
    input entry_t write_entry
    /* verilator lint_on UNUSEDSIGNAL */
);
    localparam int BITS = PA_BITS - FRAME_LOW + ENTRY_LOW;
    localparam int SKIP = FRAME_LOW - 12;

    logic [BITS-1:0] word_q [0:SLOTS-1];  // frame, low bits of entry_t

    always_comb begin : pick
        entry = '0;
        if (read) begin
            entry = (ENTRY_BITS'(word_q[slot][BITS-1:ENTRY_LOW]) << (ENTRY_LOW + SKIP)) |
                ENTRY_BITS'(word_q[slot][ENTRY_LOW-1:0]);
        end
    end

    always_ff @(posedge clk) begin : words
        if (write) begin
            word_q[write_slot] <= {write_entry[ENTRY_LOW+SKIP +: BITS-ENTRY_LOW], write_entry[ENTRY_LOW-1:0]};
        end
    end
endmodule
`default_nettype wire
