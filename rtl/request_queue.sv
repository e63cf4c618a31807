// The requests that were taken and not yet answered, at most eight, in order: the head, on which the MMU works, in a
// register, and the younger ones in a ring of seven behind it. A hit stream passes through the head register alone.
//
//   cycle        t       t+1     t+2
//   req          < A   >< B   >
//   req_valid    __/-----------\____
//   req_ready    ------------------
//   head                 < A   >< B   >
//   pop                  __/-----------    A answered in t+1
// squash: the head was answered by a fault. It and all that came before this cycle are forgotten; a request taken in this
// very cycle is the answer to the fault and stays.
`default_nettype none
`include "mmu_types.svh"

module request_queue #(
    parameter int WALKERS = 1
) (
    input logic clk,
    input logic rst_n,
    input logic req_valid,
    output logic req_ready,
    input mmu_op_t req_op,
    input mmu_type_t req_type,
    input mmu_mode_t req_mode,
    input logic [63:0] req_value,
    output logic head_valid,
    output mmu_op_t head_op,
    output mmu_type_t head_type,
    output mmu_mode_t head_mode,
    output logic [63:0] head_value,
    input logic pop,
    input logic squash,
    // a younger one, for those who look ahead
    /* verilator lint_off UNUSEDSIGNAL */
    input logic [2:0] position,        // behind the head
    /* verilator lint_on UNUSEDSIGNAL */
    output logic younger_valid,
    output logic younger_access,       // no control-register write
    output logic younger_fetch,
    output logic [63:0] younger_value,
    output logic [2:0] younger_slot,
    output logic [2:0] first_slot,
    output logic advance               // that of first_slot becomes the head
);
    logic head_valid_q;
    mmu_op_t head_op_q;
    mmu_type_t head_type_q;
    mmu_mode_t head_mode_q;
    logic [63:0] head_value_q;
    // Flip-flops: a RAM would need the address of the next read before it is known whether the head is answered.
    (* mem2reg *) logic [63:0] value_q [0:7];
    (* mem2reg *) logic [6:0] kind_q [0:7];     // op, type, mode
    logic [2:0] first_q, count_q;
    logic to_head;
    logic [6:0] first_kind;

    always_comb begin : flow
        req_ready = count_q != 3'd7 || pop;
        advance = pop && !squash && count_q != 3'd0;       // the oldest of the ring becomes the head
        to_head = !head_valid_q || (pop && !advance);      // what is taken now does
        first_kind = '0;
        if (advance) begin
            first_kind = kind_q[first_q];
        end
    end

    generate
        if (WALKERS > 1) begin : g_younger
            always_comb begin : younger
                younger_valid = position < count_q;
                younger_slot = '0;
                younger_value = '0;
                younger_access = 1'b0;
                younger_fetch = 1'b0;
                if (younger_valid) begin
                    younger_slot = first_q + position;
                    younger_value = value_q[younger_slot];
                    younger_access = kind_q[younger_slot][6:4] == OP_ACCESS;
                    younger_fetch = kind_q[younger_slot][3:2] == TYPE_FETCH;
                end
            end
            assign first_slot = first_q;
        end else begin : g_none
            assign younger_valid = 1'b0;
            assign younger_slot = '0;
            assign younger_value = '0;
            assign younger_access = 1'b0;
            assign younger_fetch = 1'b0;
            assign first_slot = '0;
        end
    endgenerate

    always_ff @(posedge clk) begin : head
        if (!rst_n) begin
            head_valid_q <= 1'b0;
        end else if (pop || !head_valid_q) begin
            head_valid_q <= req_valid || advance;
        end
        if (req_valid && to_head) begin
            head_op_q <= req_op;
            head_type_q <= req_type;
            head_mode_q <= req_mode;
            head_value_q <= req_value;
        end else if (advance) begin
            head_value_q <= value_q[first_q];
            case (first_kind[6:4])
                3'd0: head_op_q <= OP_CR0;
                3'd1: head_op_q <= OP_CR3;
                3'd2: head_op_q <= OP_CR4;
                3'd3: head_op_q <= OP_EFER;
                3'd4: head_op_q <= OP_AC;
                3'd5: head_op_q <= OP_PAT;
                default: head_op_q <= OP_ACCESS;
            endcase
            case (first_kind[3:2])
                2'd0: head_type_q <= TYPE_READ;
                2'd1: head_type_q <= TYPE_WRITE;
                2'd2: head_type_q <= TYPE_FETCH;
                default: head_type_q <= TYPE_MODIFY;
            endcase
            case (first_kind[1:0])
                2'd0: head_mode_q <= MODE_SUPERVISOR;
                2'd1: head_mode_q <= MODE_USER;
                default: head_mode_q <= MODE_IMPLICIT;
            endcase
        end
    end

    always_ff @(posedge clk) begin : ring
        if (!rst_n) begin
            first_q <= '0;
            count_q <= '0;
        end else if (squash) begin
            count_q <= '0;
        end else if (!to_head) begin
            if (req_valid && req_ready) begin
                value_q[first_q + count_q] <= req_value;
                kind_q[first_q + count_q] <= {req_op, req_type, req_mode};
            end
            count_q <= count_q + 3'(req_valid && req_ready) - 3'(advance);
            first_q <= first_q + 3'(advance);
        end
    end

    assign head_valid = head_valid_q;
    assign head_op = head_op_q;
    assign head_type = head_type_q;
    assign head_mode = head_mode_q;
    assign head_value = head_value_q;

    always_ff @(posedge clk) begin : rules
        if (rst_n && $past(rst_n)) begin
            // Only the head is answered, and what waits stands still.
            assert (!pop || head_valid_q);
            assert (!squash || pop);
            assert (count_q == 3'd0 || head_valid_q);
            if ($past(head_valid_q) && !$past(pop)) begin
                assert (head_valid_q && $stable(head_value_q) && $stable(head_op_q));
            end
            if ($past(squash)) begin
                assert (count_q == 3'd0);
            end
        end
    end
endmodule
`default_nettype wire
