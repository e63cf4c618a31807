// Several walkers: what there is of them beside the head's. With one there is nothing.
//
//   cycle          t      …     t + probes
//   owns           _/------------\____         look_ahead.sv looks up a younger request,
//   ahead_start    ________/---\______         and read_ahead.sv begins to read its tables
`default_nettype none
`include "mmu_types.svh"

module ahead #(
    parameter int WALKERS = 1,
    parameter int STLB_CYCLES = 0,
    parameter int PROBES_I = 0,
    parameter int PROBES_D = 0
) (
    /* verilator lint_off UNUSEDSIGNAL */
    input logic clk,
    input logic rst_n,
    `MUT_PORT
    input paging_t paging,
    input logic [CPU_FEATURES-1:0] features,
    input logic [51:32] beyond,
    input logic acts,
    // the queue
    output logic [2:0] position,
    input logic younger_valid,
    input logic younger_access,
    input logic younger_fetch,
    input logic [63:0] younger_value,
    input logic [2:0] younger_slot,
    input logic [2:0] first_slot,
    input logic pop,
    input logic squash,
    input logic advance,
    // the look-up
    output logic owns,
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
    output logic ahead_missed,             // where would the walk begin?
    input logic start_possible,            // it would read something
    input logic [2:0] start_level,
    input logic [51:12] start_frame,
    // the head's walk
    input logic [VA_MAX-1:0] walk_va,
    input logic control,
    input logic walk_busy,
    input logic walk_mem,
    input logic mem_exchange,
    input logic [2:0] walk_level,
    input logic [PA_MAX-1:0] walk_pa,
    input logic walk_restart,
    input logic answer_valid,
    output logic early_stored,
    output logic early_waits,
    output logic [1:0] early_id,
    output logic [63:0] early_value,
    // memory
    output logic ahead_valid,
    output logic [1:0] ahead_id,
    output logic [2:0] ahead_level,
    output logic [PA_MAX-1:0] ahead_pa,
    input logic ahead_taken,
    input logic mem_rsp_valid,
    input logic [1:0] mem_rsp_id,
    input logic [63:0] mem_rsp_data
    /* verilator lint_on UNUSEDSIGNAL */
);
    generate
        if (WALKERS > 1) begin : g_ahead
            logic allowed, looks, begin_anew, free, read_walked, walked, ahead_start;
            assign allowed = walk_busy && !answer_valid && !acts;
            assign looks = allowed && younger_valid;
            assign begin_anew = `MUT(91, acts, 1'b0) || squash;
            assign walked = read_walked || ahead_va[VA_MAX-1:12] == walk_va[VA_MAX-1:12];
            assign ahead_start = ahead_missed && start_possible;

            look_ahead #(.STLB_CYCLES(STLB_CYCLES), .PROBES_I(PROBES_I), .PROBES_D(PROBES_D)) u_look (
                .*, .ahead_start(ahead_missed));

            read_ahead #(.WALKERS(WALKERS)) u_read (.*, .walked(read_walked));
        end else begin : g_none
            assign position = '0;
            assign owns = 1'b0;
            assign ahead_va = '0;
            assign ahead_fetch = 1'b0;
            assign ahead_look = 1'b0;
            assign ahead_l2_read = 1'b0;
            assign ahead_l2_read_step = '0;
            assign ahead_l2_look = 1'b0;
            assign ahead_l2_step = '0;
            assign ahead_l2_use = 1'b0;
            assign ahead_pde_found = 1'b0;
            assign ahead_pde_way = '0;
            assign ahead_missed = 1'b0;
            assign early_stored = 1'b0;
            assign early_waits = 1'b0;
            assign early_id = '0;
            assign early_value = '0;
            assign ahead_valid = 1'b0;
            assign ahead_id = '0;
            assign ahead_level = '0;
            assign ahead_pa = '0;
        end
    endgenerate
endmodule
`default_nettype wire
