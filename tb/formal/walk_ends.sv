// (4) The walker returns to idle. A walk that began, or began anew after a failed exchange, ends after the LIMIT-th answer
// of the memory at the latest, whatever the answers are: one for each level's read and one for each level's exchange. And
// while it is busy it always waits for exactly one answer; so with a memory that answers it ends.
`default_nettype none
`include "mmu_types.svh"
`include "formal.svh"

module walk_ends #(
    parameter int LIMIT = 8
) (
    input logic clk,
    input logic begin_walk,
    input logic [1:0] begin_mode,
    input logic [6:0] begin_bits,
    input logic [3:0] begin_features,
    input logic [1:0] begin_type,
    input logic [1:0] begin_as,
    input logic [1:0] begin_below,
    input logic [2:0] begin_rights,
    input logic begin_present,
    input logic answer,
    input logic [14:0] answer_bits,
    output logic bad,
    output logic reached
);
    `POWER_ON
    logic start, busy, done, fault, fault_present, fault_reserved, mem_valid, mem_exchange, answer_valid, pending, exchange_q, restart;
    logic judged, must_fault, must_present, must_reserved;
    logic [2:0] mem_level;
    logic [63:0] mem_expected, mem_desired, answer_data;
    mmu_type_t access_type;
    mmu_mode_t mode;
    paging_t paging;
    small_walker u_small (.*);

    logic [3:0] answers_q;
    always_ff @(posedge clk) begin : count
        if (!rst_n || start || restart) begin
            answers_q <= '0;
        end else if (answer_valid && answers_q != '1) begin
            answers_q <= answers_q + 4'd1;
        end
    end
    `CLAIM((busy && !pending) || (!busy && pending) || (answer_valid && !restart && answers_q == LIMIT - 1 && !done) ||
        (busy && answers_q >= LIMIT), done && !restart && answers_q == LIMIT - 1)
endmodule
`default_nettype wire
