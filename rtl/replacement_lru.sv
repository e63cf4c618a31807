// True LRU for one set. The state is a rank for each way: 0 = most recently touched, WAYS-1 = least. A touch gives
// the way rank 0 and moves every way that was younger than it one up. Any permutation will do at reset: a victim is
// asked for only when all ways are valid, so each has been touched since.
//
// Combinational; the set's state is a row of an array in tlb_array.sv:
//   cycle          t
//   touch, way     __/--\__     row state[t] -> state_next, written at the end of t
`default_nettype none
`include "mmu_types.svh"

module replacement_lru #(
    parameter int WAYS = 4,
    parameter int WAY_BITS = 2,
    parameter int STATE_BITS = 8
) (
    `MUT_PORT
    input logic [STATE_BITS-1:0] state,
    input logic touch,
    input logic [WAY_BITS-1:0] way,
    input logic choose,
    output logic [STATE_BITS-1:0] state_next,
    output logic [STATE_BITS-1:0] state_reset,
    output logic [WAY_BITS-1:0] victim
);
    logic [WAY_BITS-1:0] old_rank;
    logic [WAY_BITS-1:0] rank;

    generate
        for (genvar w = 0; w < WAYS; w = w + 1) begin : g_reset
            assign state_reset[w*WAY_BITS +: WAY_BITS] = WAY_BITS'(w);
        end
    endgenerate

    always_comb begin
        victim = '0;
        if (choose) begin
            for (int w = 0; w < WAYS; w++) begin
                if (state[w*WAY_BITS +: WAY_BITS] == `MUT(24, WAY_BITS'(WAYS - 1), '0)) begin
                    victim = WAY_BITS'(w);
                end
            end
        end
    end

    always_comb begin
        state_next = state;
        old_rank = '0;
        rank = '0;
        if (touch) begin
            old_rank = state[32'(way)*WAY_BITS +: WAY_BITS];
            if (old_rank != '0) begin
                for (int w = 0; w < WAYS; w++) begin
                    rank = state[w*WAY_BITS +: WAY_BITS];
                    if (rank < old_rank) begin
                        state_next[w*WAY_BITS +: WAY_BITS] = rank + 1'b1;
                    end
                end
                state_next[32'(way)*WAY_BITS +: WAY_BITS] = '0;
            end
        end
    end
endmodule
`default_nettype wire
