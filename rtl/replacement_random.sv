// Random replacement of one array: a 16-bit Galois LFSR, x^16 + x^14 + x^13 + x^11 + 1, that steps once for each victim
// taken. The victim is (new state * WAYS) >> 16. Touches leave it alone. Its state is one row for the whole array.
//
// Combinational; the state is in tlb_array.sv:
//   cycle          t
//   choose         __/--\__     victim from step(state); with take, state_next = step(state), written at the end of t
`default_nettype none
`include "mmu_types.svh"

module replacement_random #(
    parameter int WAYS = 4,
    parameter int WAY_BITS = 2,
    parameter int START = 1       // seed XOR array number
) (
    `MUT_PORT
    input logic [15:0] state,
    input logic choose,
    input logic take,
    output logic [15:0] state_next,
    output logic [15:0] state_reset,
    output logic [WAY_BITS-1:0] victim
);
    logic [15:0] stepped;
    logic [22:0] product;

    assign state_reset = START == 0 ? 16'd1 : 16'(START);

    always_comb begin
        stepped = '0;
        product = '0;
        victim = '0;
        if (choose) begin
            stepped = {1'b0, state[15:1]} ^ (state[0] ? 16'hB400 : 16'h0000);
            product = 23'(`MUT(24, stepped, state)) * 23'(WAYS);
            victim = WAY_BITS'(product >> 16);
        end
    end

    always_comb begin
        state_next = state;
        if (take) begin
            state_next = stepped;
        end
    end
endmodule
`default_nettype wire
