// The port for INVLPG and INVPCID, SDM volume 2. It is never busy. What is taken in one cycle acts in the next, in which
// nothing else does: the head stands still, so that no look-up sees what was there before, and a walk under way goes on a
// cycle later.
//
//   cycle        t       t+1     t+2
//   inv_valid    __/---\___
//   acts                 __/---\___      drop, and the vector of the answer
//   head                 (still)  looks up anew
`default_nettype none
`include "mmu_types.svh"

module invalidation (
    input logic clk,
    input logic rst_n,
    `MUT_PORT
    input logic inv_valid,
    input logic inv_pcid_op,           // 0 = INVLPG, 1 = INVPCID
    input logic [63:0] inv_type,
    input logic [63:0] inv_pcid,
    input logic [63:0] inv_va,
    /* verilator lint_off UNUSEDSIGNAL */
    input paging_t paging,
    input logic [CPU_FEATURES-1:0] features,
    /* verilator lint_on UNUSEDSIGNAL */
    input logic pcide,
    input logic [11:0] current_pcid,
    output logic acts,
    output logic [3:0] vector,
    output drop_t drop,
    output logic [VA_MAX-1:0] va,
    output logic [11:0] pcid,
    output logic invlpg,               // events
    output logic invpcid
);
    logic acts_q, pcid_op_q;
    logic [63:0] type_q, pcid_q, va_q;
    logic canonical;

    always_ff @(posedge clk) begin : port
        acts_q <= rst_n && inv_valid && `MUT(66, 1'b1, !acts_q);
        if (inv_valid) begin
            pcid_op_q <= inv_pcid_op;
            type_q <= inv_type;
            pcid_q <= inv_pcid;
            va_q <= inv_va;
        end
    end

    always_comb begin : decode
        vector = VECTOR_NONE;
        drop = DROP_NONE;
        va = '0;
        pcid = current_pcid;
        invlpg = 1'b0;
        invpcid = 1'b0;
        canonical = 1'b1;
        if (acts_q) begin
            va = (paging.lma ? va_q[47:0] : {16'd0, va_q[31:0]}) & `MUT(68, ~48'd0, ~48'd0 >> 1);
`ifdef MUTATE
            if (mut_sel == 63) va = inv_va[47:0];
`endif
            canonical = !paging.lma || va_q[63:47] == '0 || va_q[63:47] == '1;
            if (!pcid_op_q) begin
                invlpg = 1'b1;
                if (`MUT(90, canonical, 1'b1)) begin
                    drop = DROP_PAGE;
                end
            end else begin
                pcid = `MUT(40, pcid_q[11:0], current_pcid);
                if (!features[CPU_INVPCID]) begin
                    vector = VECTOR_UD;
                end else if (type_q > 64'd3 || pcid_q > 64'hFFF || (!type_q[1] && !pcide && pcid_q != '0) ||
                    (type_q[1:0] == 2'd0 && !canonical)) begin
                    vector = VECTOR_GP;
                end else begin
                    invpcid = 1'b1;
                    case (type_q[1:0])
                        2'd0: drop = DROP_PAGE_LOCAL;
                        2'd1: drop = DROP_CONTEXT;
                        2'd2: drop = DROP_ALL;
                        default: drop = DROP_NONGLOBAL;
                    endcase
                end
            end
        end
    end
    assign acts = acts_q;

    always_ff @(posedge clk) begin : rules
        if (rst_n) begin
            assert (vector == VECTOR_NONE || drop == DROP_NONE);
            assert (acts_q || drop == DROP_NONE);
        end
    end
endmodule
`default_nettype wire
