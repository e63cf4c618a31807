// (7) The fault code that a response carries: P and RSVD are those of the last entry that was read, for a fault that a walk
// found, and 1 and 0 for one found by an entry of a TLB; W and U are the access's, and I, without NX and SMEP, is 0. The
// vector is #PF, and nothing but an access gets one.
//
// The whole MMU without PAT, so that there are reserved bits: 12 of a 4 MB page, and with CR4.PSE 7 of a PTE.
`default_nettype none
`include "mmu_types.svh"
`include "formal.svh"

module fault_answer #(
    parameter int L1_UNIFIED = 1,
    parameter int L1_CLASSES = 3,
    parameter int L1_WAYS = 1,
    parameter int L2_CLASSES = 9,
    parameter int L2_WAYS = 1,
    parameter int PSC_WAYS = 1
) (
    input logic clk,
    input logic want,
    input logic [2:0] want_op,
    input logic [1:0] want_type,
    input logic want_user,
    input logic [6:0] want_value,
    input logic inv_valid,
    input logic [1:0] inv_page,
    input logic answer,
    input logic [6:0] answer_bits,
    output logic bad,
    output logic reached
);
    `POWER_ON
    logic busy, user, req_valid, req_ready, pending, rsp_valid, acts, mem_valid, mem_exchange, mem_rsp_valid;
    mmu_op_t op;
    mmu_type_t kind;
    logic [63:0] value, req_value, rsp_cr2, mem_expected, cr0, cr4, answer_data, debug_word;
    logic [3:0] rsp_vector;
    logic [4:0] rsp_error, rsp_page_shift, expected;
    mmu_hit_t rsp_hit;
    logic [1:0] acts_page;
    logic [2:0] mem_level;
    logic exchange_q, present_q, reserved_q, pte_q;

    small_mmu #(.L1_UNIFIED(L1_UNIFIED), .L1_CLASSES(L1_CLASSES), .L1_WAYS(L1_WAYS), .L2_CLASSES(L2_CLASSES),
        .L2_WAYS(L2_WAYS), .PSC_WAYS(PSC_WAYS), .FEATURES(5)) u_small (
        .*, .debug_read(1'b0), .debug_array(4'd0), .debug_field(2'd0), .debug_set(10'd0), .debug_way(6'd0));

    always_comb begin : judge
        answer_data = '0;
        answer_data[2:0] = answer_bits[2:0];
        answer_data[PTE_A] = answer_bits[3];
        answer_data[PTE_D] = answer_bits[4];
        answer_data[7] = answer_bits[5];
        answer_data[12] = answer_bits[6];
        expected = {2'b00, user, kind == TYPE_WRITE, 1'b1};
        if (rsp_hit == HIT_WALK || rsp_hit == HIT_DIRTY) begin
            expected[0] = present_q;
            expected[3] = present_q && reserved_q;
        end
    end

    always_ff @(posedge clk) begin : last_read
        if (mem_valid) begin
            exchange_q <= mem_exchange;
            pte_q <= mem_level == 3'd1;
        end
        if (mem_rsp_valid && !exchange_q) begin
            present_q <= answer_data[0];
            reserved_q <= cr4[CR4_PSE] && answer_data[7] && (pte_q || answer_data[12]);
        end
    end
    `CLAIM(rsp_valid && (rsp_vector == VECTOR_PF ? op != OP_ACCESS || rsp_error != expected : rsp_error != '0),
        rsp_valid && rsp_error == 5'b01111 && rsp_hit == HIT_DIRTY)
endmodule
`default_nettype wire
