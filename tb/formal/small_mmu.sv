// The whole MMU as the proofs see it: all of rtl/, in the smallest geometry that has every kind of array, in a world that
// does whatever the ports allow. 32-bit paging; an address is one of four pages of 4 KB (bits 22 and 12), or with PSE one of
// two of 4 MB; control registers have the bits that paging looks at. The memory answers after any number of cycles.
// Requests come one at a time, the next in the cycle of the answer at the earliest, so that hits still flow; with STREAM
// they come in any cycle, and `busy` to `value` mean nothing.
//
// A word of the request's value: bits 0 PE, 4 PSE, 7 PGE, 12 page, 16 WP, 22 table, 31 PG.
`default_nettype none
`include "mmu_types.svh"

module small_mmu #(
    parameter int L1_UNIFIED = 1,
    parameter int L1_CLASSES = 1,
    parameter int L1_SETS = 1,
    parameter int L1_WAYS = 1,
    parameter int L2_CLASSES = 9,
    parameter int L2_SETS = 1,
    parameter int L2_WAYS = 0,
    parameter int PSC_WAYS = 1,
    parameter int REPLACEMENT = 1,
    parameter int STREAM = 0,
    parameter int FEATURES = 2053        // PSE, PGE, PAT
) (
    input logic clk,
    input logic rst_n,
    // what the world chooses
    input logic want,
    input logic [2:0] want_op,
    input logic [1:0] want_type,
    input logic want_user,
    input logic [6:0] want_value,
    input logic inv_valid,
    input logic [1:0] inv_page,
    input logic answer,
    input logic [63:0] answer_data,
    // the request that is worked on
    output logic busy,
    output mmu_op_t op,
    output mmu_type_t kind,
    output logic user,
    output logic [63:0] value,
    // the MMU's ports
    output logic req_valid,
    output logic req_ready,
    output logic [63:0] req_value,
    output logic rsp_valid,
    output logic [3:0] rsp_vector,
    output logic [4:0] rsp_error,
    output logic [63:0] rsp_cr2,
    output mmu_hit_t rsp_hit,
    output logic [4:0] rsp_page_shift,
    output logic acts,                   // an INVLPG does, of the page:
    output logic [1:0] acts_page,
    output logic mem_valid,
    output logic mem_exchange,
    output logic [2:0] mem_level,
    output logic [63:0] mem_expected,
    output logic mem_rsp_valid,
    output logic pending,                // the memory owes an answer
    output logic [63:0] cr0,
    output logic [63:0] cr4,
    input logic debug_read,
    input logic [3:0] debug_array,
    input logic [1:0] debug_field,
    input logic [9:0] debug_set,
    input logic [5:0] debug_way,
    output logic [63:0] debug_word
);
    mmu_op_t req_op;
    mmu_type_t req_type;
    mmu_mode_t req_mode;
`ifdef MUTATE
    wire [31:0] mutant = `MUTANT;
`endif

    always_comb begin : request
        req_valid = want && (STREAM != 0 || !busy || rsp_valid);
        case (want_op)
            3'd0: req_op = OP_CR0;
            3'd1: req_op = OP_CR3;
            3'd2: req_op = OP_CR4;
            default: req_op = OP_ACCESS;
        endcase
        case (want_type)
            2'd0: req_type = TYPE_READ;
            2'd1: req_type = TYPE_WRITE;
            default: req_type = TYPE_FETCH;
        endcase
        if (want_user) begin
            req_mode = MODE_USER;
        end else begin
            req_mode = MODE_SUPERVISOR;
        end
        req_value = '0;
        req_value[12] = want_value[3];
        if (req_op == OP_ACCESS) begin
            req_value[22] = want_value[5];
        end else begin
            req_value[0] = want_value[0];
            req_value[4] = want_value[1];
            req_value[7] = want_value[2];
            req_value[16] = want_value[4];
            req_value[31] = want_value[6];
        end
        mem_rsp_valid = answer && pending;
    end

    always_ff @(posedge clk) begin : world
        if (!rst_n) begin
            busy <= 1'b0;
            pending <= 1'b0;
        end else begin
            busy <= req_valid || (busy && !rsp_valid);
            pending <= mem_valid || (pending && !mem_rsp_valid);
        end
        if (req_valid) begin
            op <= req_op;
            kind <= req_type;
            user <= want_user;
            value <= req_value;
        end
        acts_page <= inv_page;
    end

    mmu #(
        .ITLB0_CLASSES(L1_CLASSES), .ITLB0_SETS(L1_SETS), .ITLB0_WAYS(L1_WAYS), .ITLB1_WAYS(0), .ITLB2_WAYS(0),
        .DTLB0_CLASSES(L1_CLASSES), .DTLB0_SETS(L1_SETS), .DTLB0_WAYS(L1_WAYS), .DTLB1_WAYS(0), .DTLB2_WAYS(0),
        .ISTLB0_CLASSES(L2_CLASSES), .ISTLB0_SETS(L2_SETS), .ISTLB0_WAYS(L2_WAYS), .ISTLB1_WAYS(0),
        .PSC_PDE_SETS(1), .PSC_PDE_WAYS(PSC_WAYS), .L1_UNIFIED(L1_UNIFIED), .L2_UNIFIED(1),
        .REPLACEMENT(REPLACEMENT), .FEATURES(FEATURES)) u_mmu (
        .clk(clk), .rst_n(rst_n),
`ifdef MUTATE
        .mutant(mutant),
`endif
        .maxphyaddr(6'd32), .features(FEATURES[CPU_FEATURES-1:0]),
        .req_valid(req_valid), .req_ready(req_ready), .req_op(req_op), .req_type(req_type), .req_mode(req_mode),
        .req_value(req_value), .rsp_valid(rsp_valid), .rsp_vector(rsp_vector), .rsp_error(rsp_error), .rsp_cr2(rsp_cr2),
        .rsp_pa(), .rsp_hit(rsp_hit), .rsp_page_shift(rsp_page_shift), .rsp_memory(), .rsp_psc_level(), .rsp_restarts(),
        .inv_valid(inv_valid), .inv_pcid_op(1'b0), .inv_type(64'd0), .inv_pcid(64'd0),
        .inv_va({41'd0, inv_page[1], 9'd0, inv_page[0], 12'd0}), .inv_done(acts), .inv_vector(),
        .mem_valid(mem_valid), .mem_id(), .mem_exchange(mem_exchange), .mem_wide(), .mem_level(mem_level), .mem_pa(),
        .mem_expected(mem_expected), .mem_desired(), .mem_rsp_valid(mem_rsp_valid), .mem_rsp_id(2'd0), .mem_rsp_data(answer_data),
        .cr0(cr0), .cr3(), .cr4(cr4), .efer(), .eflags_ac(), .pat(),
        .debug_hold(1'b0), .debug_read(debug_read), .debug_array(debug_array), .debug_field(debug_field),
        .debug_set(debug_set), .debug_way(debug_way), .debug_counter(6'd0), .debug_word(debug_word));

endmodule
`default_nettype wire
