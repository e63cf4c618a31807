// The memory port: who has it in a cycle, and whose an answer is. A walk's or a PDPTE's access goes first; one that a walk
// ahead has made already, or has under way, is not made again (read_ahead.sv). What is left goes to the walks ahead.
//
//   cycle          t     t+1   t+2   t+3   t+4
//   walk_mem       _/---\____________/---\______
//   mem_valid      _/---\_______________________
//   early_stored   __________________/---\______      has been read ahead: mem_early instead
//   (answer)             <pde>
//   answer_valid               /---\       /---\
// The head's answer waits while an invalidation acts.
`default_nettype none
`include "mmu_types.svh"

module memory_port #(
    parameter int WALKERS = 1
) (
    input logic clk,
    input logic rst_n,
    `MUT_PORT
    input logic acts,
    /* verilator lint_off UNUSEDSIGNAL */
    input paging_t paging,
    /* verilator lint_on UNUSEDSIGNAL */
    // the head's
    input logic walk_mem,
    input logic [2:0] walk_level,
    input logic [PA_MAX-1:0] walk_pa,
    input logic load_mem,
    input logic [PA_MAX-1:0] load_pa,
    output logic answer_valid,
    output logic [63:0] answer,
    // its access is one of a walk ahead
    input logic early_stored,          // that has its answer
    input logic early_waits,           // or not yet
    input logic [1:0] early_id,
    input logic [63:0] early_value,
    // of a walk ahead
    input logic ahead_valid,
    input logic [1:0] ahead_id,
    input logic [2:0] ahead_level,
    input logic [PA_MAX-1:0] ahead_pa,
    output logic ahead_taken,
    // memory
    output logic mem_valid,
    output logic mem_early,
    output logic [1:0] mem_id,
    output logic mem_wide,
    output logic [2:0] mem_level,
    output logic [PA_MAX-1:0] mem_pa,
    input logic mem_rsp_valid,
    /* verilator lint_off UNUSEDSIGNAL */
    input logic [1:0] mem_rsp_id,
    /* verilator lint_on UNUSEDSIGNAL */
    input logic [63:0] mem_rsp_data
);
    logic answer_valid_q, waits_q, waits;
    logic [1:0] waits_id_q, awaited;
    logic [63:0] answer_q;

    always_comb begin : offer
        mem_early = early_stored || early_waits;
        ahead_taken = ahead_valid && !walk_mem && !load_mem;
        mem_valid = ((walk_mem || load_mem) && !mem_early) || ahead_taken;
        mem_id = mem_early ? early_id : ahead_taken ? ahead_id : 2'd0;
        mem_wide = load_mem || paging.pae;
        mem_level = load_mem ? 3'd3 : ahead_taken ? ahead_level : walk_level;
        mem_pa = load_mem ? load_pa : ahead_taken ? ahead_pa : walk_pa;
    end

    always_comb begin : route
        waits = early_waits || waits_q;
        awaited = !waits ? 2'd0 : waits_q ? waits_id_q : early_id;
    end

    // Inputs go into registers alone.
    /* verilator lint_off BLKSEQ */
    logic for_head;                    // the block's own
    always_ff @(posedge clk) begin : answers
        for_head = mem_rsp_valid && (WALKERS == 1 || mem_rsp_id == awaited || `MUT(94, 1'b0, 1'b1));
        if (rst_n) begin
            // The head has one access under way, its own or one of a walk ahead.
            assert (!(for_head && ((answer_valid_q && acts) || early_stored)));
        end
        answer_valid_q <= rst_n && (for_head || early_stored || (answer_valid_q && acts));
        if (for_head) begin
            answer_q <= mem_rsp_data;
        end else if (early_stored) begin
            answer_q <= early_value;
        end
        if (WALKERS != 1) begin
            waits_q <= rst_n && waits && !for_head;
            waits_id_q <= awaited;
        end else begin
            waits_q <= 1'b0;
            waits_id_q <= '0;
        end
    end
    /* verilator lint_on BLKSEQ */
    assign answer_valid = answer_valid_q && `MUT(79, !acts, 1'b1);
    assign answer = answer_q;

    always_ff @(posedge clk) begin : rules
        if (rst_n) begin
            assert (!(early_stored && early_waits));
            assert (!mem_early || walk_mem);
            assert (!(waits_q && (walk_mem || load_mem)));
        end
    end
endmodule
`default_nettype wire
