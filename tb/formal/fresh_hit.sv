// (1) A hit is only served from an entry whose table reads all came after the last invalidation that covers it.
//
// One invalidation that covers the watched page is marked. What the tables say is coloured by it: an entry read before it
// has R/W = 0, one read after it R/W = 1. Rights are ANDed over the levels of a walk, and over those above a cached start,
// so an entry lets a user write pass only if all of it was read after the mark. A user write to the watched page that is
// refused by an entry, or after a walk that began after the mark, would be one served from before.
//
//   cycle        t-1   t     t+1   t+2 …
//   inv_valid    _/---\_
//   covers             /---\                 INVLPG acts; or the answer to a control write or of a fault
//   marked                   /--------       reads from here on answer with R/W = 1
`default_nettype none
`include "mmu_types.svh"
`include "formal.svh"

module fresh_hit #(
    parameter int L1_UNIFIED = 1,
    parameter int L1_CLASSES = 1,
    parameter int L1_WAYS = 1,
    parameter int L2_CLASSES = 9,
    parameter int L2_WAYS = 0,
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
    input logic [1:0] watch,             // the watched page, fixed in the reset cycle,
    input logic watch_large,             // 1: the large page that holds it
    input logic with_global,             // 1: tables set G
    input logic mark,
    output logic bad,
    output logic reached
);
    `POWER_ON
    logic busy, user, req_valid, req_ready, pending, rsp_valid, acts, mem_valid, mem_exchange, mem_rsp_valid;
    mmu_op_t op;
    mmu_type_t kind;
    logic [63:0] value, req_value, rsp_cr2, mem_expected, cr0, cr4, answer_data, debug_word;
    logic [3:0] rsp_vector;
    logic [4:0] rsp_error, rsp_page_shift;
    mmu_hit_t rsp_hit;
    logic [2:0] mem_level;
    logic [1:0] acts_page, watch_q;
    logic watch_large_q, with_global_q, marked_q, issue_marked_q, exchange_q, late_q;
    logic on_watched, covers, refused, stale;

    small_mmu #(.L1_UNIFIED(L1_UNIFIED), .L1_CLASSES(L1_CLASSES), .L1_WAYS(L1_WAYS), .L2_CLASSES(L2_CLASSES),
        .L2_WAYS(L2_WAYS), .PSC_WAYS(PSC_WAYS)) u_small (
        .*, .debug_read(1'b0), .debug_array(4'd0), .debug_field(2'd0), .debug_set(10'd0), .debug_way(6'd0));

    always_comb begin : tables
        answer_data = '0;
        answer_data[PTE_P] = answer_bits[0];
        answer_data[PTE_RW] = exchange_q ? answer_bits[6] : issue_marked_q;
        answer_data[PTE_US] = 1'b1;
        answer_data[PTE_A] = answer_bits[1];
        answer_data[PTE_D] = answer_bits[2];
        answer_data[PTE_PS] = answer_bits[3];
        answer_data[PTE_G] = answer_bits[4] && with_global_q;
        answer_data[12] = answer_bits[5];
    end

    always_comb begin : judge
        on_watched = value[22] == watch_q[1] && (value[12] == watch_q[0] || watch_large_q);
        covers = acts && acts_page[1] == watch_q[1] && (acts_page[0] == watch_q[0] || watch_large_q);
        if (rsp_valid) begin
            case (op)
                OP_CR0: covers = rsp_vector == VECTOR_NONE && value[CR0_PG] != cr0[CR0_PG];
                OP_CR3: covers = !with_global_q;
                OP_CR4: covers = rsp_vector == VECTOR_NONE && (value[CR4_PSE] != cr4[CR4_PSE] || value[CR4_PGE] != cr4[CR4_PGE]);
                default: covers = rsp_vector == VECTOR_PF && value[22] == watch_q[1] && value[12] == watch_q[0] && !watch_large_q;
            endcase
        end
        refused = rsp_valid && op == OP_ACCESS && on_watched && kind == TYPE_WRITE && user && rsp_vector == VECTOR_PF &&
            rsp_error[0] && !rsp_error[3] && (!watch_large_q || rsp_page_shift == 5'd22);
        stale = marked_q && refused && (rsp_hit == HIT_L1 || rsp_hit == HIT_L2 || late_q);
    end

    always_ff @(posedge clk) begin : history
        if (!rst_n) begin
            watch_q <= watch;
            watch_large_q <= watch_large;
            with_global_q <= with_global;
            marked_q <= 1'b0;
            late_q <= 1'b0;
        end else begin
            marked_q <= marked_q || (covers && mark);
            if (!busy || rsp_valid) begin
                late_q <= marked_q || (covers && mark);
            end
        end
        if (mem_valid) begin
            issue_marked_q <= marked_q;
            exchange_q <= mem_exchange;
        end
    end

    // Reached: the watched page hits in the second level after the mark, and before it did hit (a refusal by an entry).
    logic refused_before_q;
    always_ff @(posedge clk) begin : seen
        refused_before_q <= rst_n && (refused_before_q || (refused && !marked_q && (rsp_hit == HIT_L1 || rsp_hit == HIT_L2)));
    end
    `CLAIM(stale, refused_before_q && marked_q && rsp_valid && op == OP_ACCESS && on_watched && rsp_vector == VECTOR_NONE &&
        rsp_hit == HIT_L2)
endmodule
`default_nettype wire
