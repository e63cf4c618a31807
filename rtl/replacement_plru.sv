// Tree pseudo-LRU for one set of any number of ways. The state is the nodes of a binary tree over the ways, rounded up to a
// power of two, in heap order (node 1 is the root, the children of n are 2n and 2n+1; bit n-1 holds node n). A node bit of
// 0 points to the lower half of its ways, 1 to the upper. A touch makes every node on the way's path point away from it; the
// victim is where the pointers lead, and a half without ways is not entered.
//
// Combinational; the set's state is a row of an array in tlb_array.sv:
//   cycle          t
//   touch, way     __/--\__     row state[t] -> state_next, written at the end of t
`default_nettype none
`include "mmu_types.svh"

module replacement_plru #(
    parameter int WAYS = 4,
    parameter int WAY_BITS = 2,
    parameter int STATE_BITS = 3
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
    localparam int LEVELS = $clog2(WAYS);

    logic [WAY_BITS:0] touch_node;   // heap number of the node on the touched way's path
    logic [WAY_BITS:0] victim_node;
    logic [WAY_BITS:0] upper;        // lowest way of the upper half
    logic pointer;

    assign state_reset = '0;

    always_comb begin
        victim_node = {{WAY_BITS{1'b0}}, 1'b1};
        victim = '0;
        pointer = 1'b0;
        upper = '0;
        if (choose) begin
            for (int level = LEVELS - 1; level >= 0; level--) begin
                upper = {1'b0, victim} | (WAY_BITS+1)'(1 << level);
                pointer = (state[32'(victim_node) - 1] ^ `MUT(24, 1'b0, 1'b1)) && upper < (WAY_BITS+1)'(WAYS);
                victim[level] = pointer;
                victim_node = {victim_node[WAY_BITS-1:0], pointer};
            end
        end
    end

    always_comb begin
        state_next = state;
        touch_node = {{WAY_BITS{1'b0}}, 1'b1};
        if (touch) begin
            for (int level = LEVELS - 1; level >= 0; level--) begin
                state_next[32'(touch_node) - 1] = !way[level];
                touch_node = {touch_node[WAY_BITS-1:0], way[level]};
            end
        end
    end
endmodule
`default_nettype wire
