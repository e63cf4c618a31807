// Looks up younger requests while the head waits in its walk, in order and one at a time, to find those that will walk.
// The arrays are the head's in a cycle in which it evaluates an answer; a look-up under way pauses then, and is given up
// when the head is answered. It changes nothing: no touch, no fill, no count.
//
// A younger request misses the first level and both classes of the second (stlb_cycles 0):
//   cycle          t     t+1   t+2   t+3
//   allowed        _/---------------\____
//   position        <  0            >< 1 >
//   looks          _/---\________________
//   ahead_l2_look  _______/---------\____
//   ahead_start    _____________/---\____      psc and PDPTE registers say where; see read_ahead.sv
// It stops at a control write and at an address that is not canonical: what comes behind is not sure to be looked up so.
`default_nettype none
`include "mmu_types.svh"

module look_ahead #(
    parameter int STLB_CYCLES = 0,
    parameter int PROBES_I = 0,
    parameter int PROBES_D = 0
) (
    input logic clk,
    input logic rst_n,
    /* verilator lint_off UNUSEDSIGNAL */
    input paging_t paging,
    /* verilator lint_on UNUSEDSIGNAL */
    input logic allowed,                 // the head waits
    input logic free,                    // a walker is
    // the younger request at `position`
    output logic [2:0] position,
    input logic younger_valid,
    input logic younger_access,
    input logic younger_fetch,
    input logic [63:0] younger_value,
    input logic walked,                  // a walk of its page is under way
    input logic pop,
    input logic advance,                 // the younger requests move up
    input logic begin_anew,
    // the arrays' look-up
    output logic owns,                   // the address that they work on is this one's:
    output logic [VA_MAX-1:0] ahead_va,
    output logic ahead_fetch,
    output logic ahead_look,
    input logic l1_hit,
    output logic ahead_l2_read,
    output logic [1:0] ahead_l2_read_step,
    output logic ahead_l2_look,
    output logic [1:0] ahead_l2_step,
    input logic l2_hit,
    input logic l2_pde_hit,
    input logic [5:0] l2_pde_hit_way,
    output logic ahead_l2_use,
    output logic ahead_pde_found,
    output logic [5:0] ahead_pde_way,
    output logic ahead_start             // missed everywhere
);
    logic probing_q, found_q, pde_found_q;
    logic [2:0] position_q;
    logic [6:0] step_q;
    logic [5:0] pde_way_q;
    logic works, found, ended, passes, canonical;
    logic [6:0] probes;

    always_comb begin : decode
        ahead_va = '0;
        ahead_fetch = 1'b0;
        canonical = 1'b0;
        probes = '0;
        if (allowed && younger_valid) begin
            ahead_va = paging.lma ? younger_value[47:0] : {16'd0, younger_value[31:0]};
            ahead_fetch = younger_fetch;
            canonical = !paging.lma || younger_value[63:47] == '0 || younger_value[63:47] == '1;
            probes = younger_fetch ? 7'(PROBES_I) : 7'(PROBES_D);
        end
        works = younger_access && canonical;
    end

    always_comb begin : look_up
        ahead_look = works && !probing_q && free && !walked;
        ahead_l2_look = 1'b0;
        ahead_l2_step = '0;
        owns = ahead_look;
        if (works && probing_q) begin
            ahead_l2_look = !found_q && step_q <= probes;
            ahead_l2_step = step_q[1:0] - 2'd1;
            owns = 1'b1;
        end
    end

    always_comb begin : judge
        found = 1'b0;
        ahead_pde_found = 1'b0;
        ahead_pde_way = '0;
        ended = 1'b0;
        ahead_l2_read = 1'b0;
        ahead_l2_read_step = '0;
        ahead_start = 1'b0;
        passes = 1'b0;                   // done with this one
        if (works && probing_q) begin
            found = found_q || l2_hit;
            ahead_pde_found = pde_found_q || l2_pde_hit;
            ahead_pde_way = l2_pde_hit ? l2_pde_hit_way : pde_way_q;
            ended = step_q + 7'd1 > 7'(STLB_CYCLES) && (found || step_q >= probes);
            ahead_l2_read = ahead_l2_look && !l2_hit && step_q < probes;
            ahead_l2_read_step = step_q[1:0];
            ahead_start = ended && !found;
            passes = ended;
        end else if (works && free) begin
            ahead_l2_read = !walked && !l1_hit && probes != '0;
            ahead_start = !walked && !l1_hit && probes == '0;
            passes = walked || l1_hit || probes == '0;
        end
    end
    assign ahead_l2_use = ended;

    always_ff @(posedge clk) begin : registers
        if (!rst_n || begin_anew) begin
            position_q <= '0;
            probing_q <= 1'b0;
        end else if (pop) begin
            position_q <= position_q - 3'(advance && position_q != '0);
            probing_q <= 1'b0;
        end else begin
            position_q <= position_q + 3'(passes);
            if (ahead_look) begin
                probing_q <= !passes;
                step_q <= 7'd1;
                found_q <= 1'b0;
                pde_found_q <= 1'b0;
            end else if (works && probing_q) begin
                probing_q <= !ended;
                step_q <= step_q + 7'd1;
                found_q <= found;
                pde_found_q <= ahead_pde_found;
                pde_way_q <= ahead_pde_way;
            end
        end
    end
    assign position = position_q;

    always_ff @(posedge clk) begin : rules
        if (rst_n) begin
            // The head's answer and a step here never meet in the arrays.
            assert (!(owns && pop));
            assert (!probing_q || younger_valid || !allowed);
            assert (!ahead_start || owns);
        end
    end
endmodule
`default_nettype wire
