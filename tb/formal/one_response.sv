// (5) Each request gets one response: its own, in order; or none if an older one faulted. And it does get it: the MMU
// never takes more than LIMIT cycles of its own, in which neither the memory owes an answer nor an invalidation acts, after
// a request became the oldest, an INVLPG, or an exchange that failed.
//
// The harness counts the requests that wait for a response, and watches one of them: how many are ahead of it, and which
// address it has, which every response carries as CR2.
`default_nettype none
`include "mmu_types.svh"
`include "formal.svh"

module one_response #(
    parameter int L1_UNIFIED = 1,
    parameter int L1_CLASSES = 1,
    parameter int L1_WAYS = 1,
    parameter int L2_CLASSES = 9,
    parameter int L2_WAYS = 1,
    parameter int PSC_WAYS = 1,
    parameter int LIMIT = 10
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
    input logic watch,
    output logic bad,
    output logic reached
);
    `POWER_ON
    logic busy, user, req_valid, req_ready, pending, rsp_valid, acts, mem_valid, mem_exchange, mem_rsp_valid;
    mmu_op_t op;
    mmu_type_t kind;
    logic [63:0] value, req_value, rsp_cr2, mem_expected, cr0, cr4, answer_data, debug_word, watched_q, expected_q;
    logic [3:0] rsp_vector;
    logic [4:0] rsp_error, rsp_page_shift;
    mmu_hit_t rsp_hit;
    logic [2:0] mem_level;
    logic [1:0] acts_page;
    logic [3:0] waiting_q, ahead_q, left;
    logic [3:0] own_q;
    logic watching_q, exchange_q, taken, faulted, failed;

    small_mmu #(.L1_UNIFIED(L1_UNIFIED), .L1_CLASSES(L1_CLASSES), .L1_WAYS(L1_WAYS), .L2_CLASSES(L2_CLASSES),
        .L2_WAYS(L2_WAYS), .PSC_WAYS(PSC_WAYS), .STREAM(1)) u_small (
        .*, .debug_read(1'b0), .debug_array(4'd0), .debug_field(2'd0), .debug_set(10'd0), .debug_way(6'd0));

    always_comb begin : tables
        answer_data = '0;
        answer_data[2:0] = answer_bits[2:0];
        answer_data[PTE_A] = answer_bits[3];
        answer_data[PTE_D] = answer_bits[4];
        answer_data[PTE_PS] = answer_bits[5];
        answer_data[12] = answer_bits[6];
        taken = req_valid && req_ready;
        faulted = rsp_valid && rsp_vector != VECTOR_NONE;
        failed = mem_rsp_valid && exchange_q && answer_data != expected_q;
        left = faulted ? 4'd0 : waiting_q - {3'd0, rsp_valid};
    end

    always_ff @(posedge clk) begin : count
        if (!rst_n) begin
            waiting_q <= '0;
            watching_q <= 1'b0;
            own_q <= '0;
        end else begin
            waiting_q <= left + {3'd0, taken};
            if (taken && watch && (!watching_q || (rsp_valid && (faulted || ahead_q == '0)))) begin
                watching_q <= 1'b1;
                ahead_q <= left;
                watched_q <= req_value;
            end else if (rsp_valid) begin
                watching_q <= watching_q && !faulted && ahead_q != '0;
                ahead_q <= ahead_q - 4'd1;
            end
            if (rsp_valid || acts || failed || waiting_q == '0) begin
                own_q <= '0;
            end else if (!pending && own_q != '1) begin
                own_q <= own_q + 4'd1;
            end
        end
        if (mem_valid) begin
            exchange_q <= mem_exchange;
            expected_q <= mem_expected;
        end
    end

    // Reached: the watched request is answered after six that were ahead of it.
    logic was_sixth_q;
    always_ff @(posedge clk) begin : witness
        was_sixth_q <= rst_n && ((watching_q && ahead_q == 4'd6) || (was_sixth_q && watching_q));
    end
    `CLAIM((rsp_valid && waiting_q == '0) || waiting_q > 4'd8 || own_q > LIMIT ||
        (rsp_valid && watching_q && ahead_q == '0 && rsp_cr2 != watched_q),
        rsp_valid && watching_q && ahead_q == '0 && was_sixth_q && rsp_vector == VECTOR_PF)
endmodule
`default_nettype wire
