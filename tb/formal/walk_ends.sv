// (4) The walker returns to idle. A walk that began, or began anew after a failed exchange, ends after the LIMIT-th answer
// of the memory at the latest, whatever the answers are: one for each level's read and one for each level's exchange. And
// while it is busy it always waits for exactly one answer; so with a memory that answers it ends.
`default_nettype none
`include "mmu_types.svh"
`include "formal.svh"

module walk_ends #(
    parameter int LIMIT = 8
) (
    `WALKER_PORTS
);
    `POWER_ON
    `SMALL_WALKER

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
