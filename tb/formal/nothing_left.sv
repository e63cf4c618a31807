// (3) INVLPG and a MOV CR3 leave no entry behind in any level: in the cycle after either acted, no way of any array of any
// level is valid that rtl/README.md, "Invalidation" says is dropped.
//
// One way of one set of one array is watched through the debug port. Nothing is filled in the cycle in which an
// invalidation acts, so the tag read in that cycle is that of the next, too.
//
//   cycle        t-1   t     t+1
//   ask          <tag> <valid>
//   covers             /---\            by the tag that is seen
//   (valid bit)              <seen>     must be 0
`default_nettype none
`include "mmu_types.svh"
`include "formal.svh"

module nothing_left #(
    parameter int L1_UNIFIED = 0,
    parameter int L1_CLASSES = 1,
    parameter int L1_WAYS = 1,
    parameter int L2_CLASSES = 9,
    parameter int L2_WAYS = 2,
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
    input logic ask,
    input logic ask_valid,               // the valid bits, else the tag
    input logic [1:0] watch_array,       // fixed in the reset cycle
    input logic watch_way,
    output logic bad,
    output logic reached
);
    `POWER_ON
    logic busy, user, req_valid, req_ready, pending, rsp_valid, acts, mem_valid, mem_exchange, mem_rsp_valid;
    mmu_op_t op;
    mmu_type_t kind;
    logic [63:0] value, req_value, rsp_cr2, mem_expected, cr0, cr4, answer_data, debug_word;
    logic [3:0] rsp_vector, debug_array;
    logic [4:0] rsp_error, rsp_page_shift;
    mmu_hit_t rsp_hit;
    logic [2:0] mem_level;
    logic [1:0] acts_page, array_q;
    logic way_q, tag_asked_q, valid_asked_q, covered_q, covers, in_psc, of_page;
    debug_tag_t tag;

    small_mmu #(.L1_UNIFIED(L1_UNIFIED), .L1_CLASSES(L1_CLASSES), .L1_WAYS(L1_WAYS), .L2_CLASSES(L2_CLASSES),
        .L2_WAYS(L2_WAYS), .PSC_WAYS(PSC_WAYS)) u_small (
        .*, .debug_read(ask), .debug_array(debug_array), .debug_field({1'b0, !ask_valid}), .debug_set(10'd0),
        .debug_way({5'd0, way_q}));

    always_comb begin : tables
        answer_data = '0;
        answer_data[2:0] = answer_bits[2:0];
        answer_data[PTE_A] = answer_bits[3];
        answer_data[PTE_D] = answer_bits[3];
        answer_data[PTE_PS] = answer_bits[4];
        answer_data[PTE_G] = answer_bits[5];
        answer_data[12] = answer_bits[6];
    end

    always_comb begin : judge
        case (array_q)
            2'd0: debug_array = 4'd0;    // the first levels,
            2'd1: debug_array = 4'd3;
            2'd2: debug_array = 4'd6;    // the second,
            default: debug_array = 4'd10; // the PDE cache
        endcase
        in_psc = array_q == 2'd3;
        tag = debug_word[51:0];
        of_page = tag.tlb_class == 2'd0 ? tag.page == {25'd0, acts_page[1], 9'd0, acts_page[0]} :
            tag.page == {35'd0, acts_page[1]};
        covers = 1'b0;
        if (acts) begin
            covers = in_psc || tag.tlb_class == 2'd3 || tag.fragment || of_page;
        end else if (rsp_valid && rsp_vector == VECTOR_NONE) begin
            case (op)
                OP_CR3: covers = in_psc || tag.tlb_class == 2'd3 || !tag.g;
                OP_CR0: covers = value[CR0_PG] != cr0[CR0_PG];
                OP_CR4: covers = value[CR4_PSE] != cr4[CR4_PSE] || value[CR4_PGE] != cr4[CR4_PGE];
                default: ;
            endcase
        end
    end

    always_ff @(posedge clk) begin : history
        if (!rst_n) begin
            array_q <= watch_array;
            way_q <= watch_way;
        end
        tag_asked_q <= rst_n && ask && !ask_valid;
        valid_asked_q <= rst_n && ask && ask_valid;
        covered_q <= rst_n && tag_asked_q && covers;
    end

    // Reached: an entry of the second level, or of the PDE cache, is seen to be valid, and two cycles later gone by INVLPG.
    logic seen_q, seen_2_q, by_inv_q;
    always_ff @(posedge clk) begin : witness
        seen_q <= rst_n && valid_asked_q && debug_word[way_q] && array_q[1] && !rsp_valid && !acts;
        seen_2_q <= seen_q;
        by_inv_q <= acts;
    end
    `CLAIM(covered_q && valid_asked_q && debug_word[way_q],
        seen_2_q && covered_q && by_inv_q && valid_asked_q && !debug_word[way_q])
endmodule
`default_nettype wire
