// Which way of a set a fill takes, and what the set's replacement state is then: the way that holds the entry already,
// else the lowest-numbered invalid way, else the victim. A touch only changes the state.
//
// Combinational; the state is a row in tlb_array.sv:
//   cycle          t
//   touch | fill   __/--\__     way; select and state_next, written at the end of t
`default_nettype none
`include "mmu_types.svh"

module fill_way #(
    parameter int POLICY = 0,     // 0 = true LRU, 1 = tree pseudo-LRU, 2 = random
    parameter int WAYS = 4,
    parameter int WAY_BITS = 2,
    parameter int STATE_BITS = 8,
    parameter int START = 1       // random only: seed XOR array number
) (
    `MUT_PORT
    input logic touch,
    input logic [WAY_BITS-1:0] touch_way,
    input logic fill,
    input logic [WAYS-1:0] match,
    input logic [WAYS-1:0] valid,
    input logic [STATE_BITS-1:0] state,
    output logic [WAY_BITS-1:0] way,
    output logic [WAYS-1:0] select,   // of a fill
    output logic [STATE_BITS-1:0] state_next,
    output logic [STATE_BITS-1:0] state_reset
);
    logic [WAY_BITS-1:0] victim;
    logic full, used;

    always_comb begin : choose
        way = touch_way;
        select = '0;
        full = 1'b0;
        if (fill) begin
            full = 1'b1;
            way = victim;
            for (int w = WAYS - 1; w >= 0; w--) begin
                if (!valid[w]) begin
                    way = WAY_BITS'(w);
                    full = 1'b0;
                end
            end
            for (int w = WAYS - 1; w >= 0; w--) begin
                if (match[w] && `MUT(2, 1'b1, 1'b0)) begin
                    way = WAY_BITS'(w);
                    full = 1'b0;
                end
            end
            select = WAYS'(1) << way;
        end
    end
    assign used = touch || fill;

    generate
        if (POLICY == 2) begin : g_random
            replacement_random #(.WAYS(WAYS), .WAY_BITS(WAY_BITS), .START(START)) u_policy (
                `MUT_CONNECT .state(state), .choose(fill), .take(full), .state_next(state_next),
                .state_reset(state_reset), .victim(victim));
            /* verilator lint_off UNUSEDSIGNAL */
            logic unused;
            /* verilator lint_on UNUSEDSIGNAL */
            assign unused = used;
        end else if (WAYS == 1) begin : g_one_way
            assign state_next = '0;
            assign state_reset = '0;
            assign victim = '0;
            /* verilator lint_off UNUSEDSIGNAL */
            logic unused;
            /* verilator lint_on UNUSEDSIGNAL */
            assign unused = &{1'b0, used, full, state};
        end else if (POLICY == 1) begin : g_plru
            replacement_plru #(.WAYS(WAYS), .WAY_BITS(WAY_BITS), .STATE_BITS(STATE_BITS)) u_policy (
                `MUT_CONNECT .state(state), .touch(used), .way(way), .choose(fill), .state_next(state_next),
                .state_reset(state_reset), .victim(victim));
            /* verilator lint_off UNUSEDSIGNAL */
            logic unused;
            /* verilator lint_on UNUSEDSIGNAL */
            assign unused = full;
        end else begin : g_lru
            replacement_lru #(.WAYS(WAYS), .WAY_BITS(WAY_BITS), .STATE_BITS(STATE_BITS)) u_policy (
                `MUT_CONNECT .state(state), .touch(used), .way(way), .choose(fill), .state_next(state_next),
                .state_reset(state_reset), .victim(victim));
            /* verilator lint_off UNUSEDSIGNAL */
            logic unused;
            /* verilator lint_on UNUSEDSIGNAL */
            assign unused = full;
        end
    endgenerate
endmodule
`default_nettype wire
