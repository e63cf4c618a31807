// The debug port: registers the question, and turns what the arrays and counters answer into the word that was asked for. The
// model's test bench reads entries and counters through it in cycles that are not the program's.
//
//   cycle          t       t+1     t+2
//   debug_read     __/-----------\____     the question stands still
//   select, …              __/---\____
//   debug_word             <word>          t+2: an entry of the second level
`default_nettype none
`include "mmu_types.svh"

module debug_port (
    input logic clk,
    input logic debug_read,
    input logic [3:0] debug_array,     // enum mmu_array, 15 = counters
    input logic [1:0] debug_field,     // 0 = valid bits of a set, 1 = debug_tag_t, 2 = entry_t, 3 = address
    input logic [9:0] debug_set,
    input logic [5:0] debug_way,
    input logic [5:0] debug_counter,
    input logic large_shift_21,        // large pages are of 2 MB
    output logic [15:0] select,        // of each array, and the counters
    output logic [1:0] field,
    output logic [9:0] set,
    output logic [5:0] way,
    output logic [5:0] counter,
    input logic [63:0] answers,        // zeros from all that are not asked
    output logic [63:0] debug_word
);
    logic read_q, address_q;
    logic [15:0] select_q;
    logic [1:0] field_q;
    logic [9:0] set_q;
    logic [5:0] way_q, counter_q;
    /* verilator lint_off UNUSEDSIGNAL */
    debug_tag_t tag;
    /* verilator lint_on UNUSEDSIGNAL */

    always_ff @(posedge clk) begin : question
        read_q <= debug_read;
        select_q <= debug_read ? 16'd1 << debug_array : 16'd0;
        if (debug_read) begin
            address_q <= debug_field == 2'd3;
            field_q <= debug_field == 2'd3 ? 2'd1 : debug_field;
            set_q <= debug_set;
            way_q <= debug_way;
            counter_q <= debug_counter;
        end
    end

    always_comb begin : answer
        debug_word = '0;
        tag = '0;
        if (read_q) begin
            debug_word = answers;
            if (address_q) begin
                tag = answers[51:0];
                debug_word = 64'(tag.page) << (select_q[12] ? 39 : tag.tlb_class == 2'd0 ? 12 : tag.tlb_class == 2'd2 ? 30 :
                    large_shift_21 ? 21 : 22);
                debug_word[63:48] = {16{debug_word[47]}};
            end
        end
    end

    assign select = select_q;
    assign field = field_q;
    assign set = set_q;
    assign way = way_q;
    assign counter = counter_q;
endmodule
`default_nettype wire
