// What the entries of a second-level array translate to: a RAM, one row a set, read with a cycle's delay, one write port.
// The second entry of a cycle (the PDE's, where the array takes leaves, too) is written in the cycle after: no other fill
// and no read of it can come so soon.
//
//   cycle        t       t+1     t+2
//   read         __/---\___________
//   entry, way           < row's >      until the next read
//   write        __/---\___             written at the end of t
//   first_write  __/---\___             written at the end of t+1
`default_nettype none
`include "mmu_types.svh"

module tlb_rows #(
    parameter int SETS = 16,
    parameter int WAYS = 4,
    parameter int SET_BITS = 4,
    parameter int WAY_BITS = 2,
    parameter int PA_BITS = 40,
    parameter int FRAME_LOW = 12,
    parameter int BOTH = 1         // 1: two entries can come in one cycle; 0: at most one
) (
    input logic clk,
    input logic rst_n,
    input logic read,
    input logic [SET_BITS-1:0] read_set,
    /* verilator lint_off UNUSEDSIGNAL */
    input logic select,            // 0: entry is all zeros
    input logic [5:0] way,
    output entry_t entry,
    input logic write,
    input logic [SET_BITS-1:0] write_set,
    input logic [WAY_BITS-1:0] write_way,
    input entry_t write_entry,
    input logic first_write,
    input logic [SET_BITS-1:0] first_set,
    input logic [WAY_BITS-1:0] first_way,
    input entry_t first_entry
    /* verilator lint_on UNUSEDSIGNAL */
);
    localparam int BITS = PA_BITS - FRAME_LOW + ENTRY_LOW;
    localparam int SKIP = FRAME_LOW - 12;

    logic [WAYS*BITS-1:0] row_q [0:SETS-1];
    logic [WAYS*BITS-1:0] read_q;
    logic now;
    logic [SET_BITS-1:0] now_set;
    logic [WAY_BITS-1:0] now_way;
    logic [BITS-1:0] word, now_word, entry_word, first_word;

    // The low bits of a table's frame count, so an array with PDE entries keeps all of them.
    assign entry_word = {write_entry[ENTRY_LOW+SKIP +: BITS-ENTRY_LOW], write_entry[ENTRY_LOW-1:0]};
    assign first_word = {first_entry[ENTRY_LOW+SKIP +: BITS-ENTRY_LOW], first_entry[ENTRY_LOW-1:0]};
    generate
        if (BOTH != 0) begin : g_both
            logic late_q;
            logic [SET_BITS-1:0] late_set_q;
            logic [WAY_BITS-1:0] late_way_q;
            logic [BITS-1:0] late_word_q;
            always_ff @(posedge clk) begin : late
                // The leaf's entry may have taken the very way.
                late_q <= rst_n && first_write && !(write && write_set == first_set && write_way == first_way);
                if (first_write) begin
                    late_set_q <= first_set;
                    late_way_q <= first_way;
                    late_word_q <= first_word;
                end
            end
            always_comb begin : choose
                now = write || late_q;
                now_set = write_set;
                now_way = write_way;
                now_word = entry_word;
                if (late_q) begin
                    now_set = late_set_q;
                    now_way = late_way_q;
                    now_word = late_word_q;
                end
            end
            always_ff @(posedge clk) begin : rules
                if (rst_n) begin
                    assert (!(late_q && (write || first_write)));
                end
            end
        end else begin : g_one
            assign now = write || first_write;
            assign now_set = write ? write_set : first_set;
            assign now_way = write ? write_way : first_way;
            assign now_word = write ? entry_word : first_word;
        end
    endgenerate

    always_ff @(posedge clk) begin : rows
        if (now) begin
            row_q[now_set][32'(now_way)*BITS +: BITS] <= now_word;
        end
        if (read) begin
            read_q <= row_q[read_set];
        end
    end

    always_comb begin : pick
        word = '0;
        if (select) begin
            word = read_q[32'(way)*BITS +: BITS];
        end
        entry = (ENTRY_BITS'(word[BITS-1:ENTRY_LOW]) << (ENTRY_LOW + SKIP)) | ENTRY_BITS'(word[ENTRY_LOW-1:0]);
    end
endmodule
`default_nettype wire
