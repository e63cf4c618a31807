// synth_top with four pins, for place and route on a chip that has too few: inputs come out of a shift register, outputs
// go into a signature register. All paths begin and end in a register, as they would in a CPU.
`default_nettype none
`include "mmu_types.svh"

module synth_pins #(
    parameter int FEATURES = 0,
    parameter int PHYSICAL_BITS = 32,
    parameter int DEBUG = 0
) (
    input logic clk,
    input logic rst_n,
    input logic in,
    output logic out
);
    localparam int INPUTS = 1 + 3 + 2 + 2 + 64 + 1 + 1 + 3 * 64 + 1 + 64 + 25;
    localparam int OUTPUTS = 1 + 1 + 4 + 5 + 64 + PA_MAX + 3 + 1 + 4 + 3 + PA_MAX + 2 * 64 + 5 * 64 + 1 + 64;
    logic rst_n_q;
    logic [INPUTS-1:0] in_q;
    logic [OUTPUTS-1:0] out_q, outputs;
    logic req_valid, inv_valid, inv_pcid_op, mem_rsp_valid;
    logic [2:0] req_op;
    logic [1:0] req_type, req_mode;
    logic [63:0] req_value, inv_type, inv_pcid, inv_va, mem_rsp_data;
    logic [24:0] debug;

    always_ff @(posedge clk) begin : registers
        rst_n_q <= rst_n;
        in_q <= {in_q[INPUTS-2:0], in};
        out_q <= outputs ^ {out_q[OUTPUTS-2:0], 1'b0};
    end
    assign out = out_q[OUTPUTS-1];
    assign {req_valid, req_op, req_type, req_mode, req_value, inv_valid, inv_pcid_op, inv_type, inv_pcid, inv_va, mem_rsp_valid,
        mem_rsp_data, debug} = in_q;

    (* keep_hierarchy *)
    synth_top #(.FEATURES(FEATURES), .PHYSICAL_BITS(PHYSICAL_BITS), .DEBUG(DEBUG)) u_top (
        .clk(clk), .rst_n(rst_n_q), .req_valid(req_valid), .req_ready(outputs[0]), .req_op(req_op), .req_type(req_type),
        .req_mode(req_mode), .req_value(req_value), .rsp_valid(outputs[1]), .rsp_vector(outputs[5:2]),
        .rsp_error(outputs[10:6]), .rsp_cr2(outputs[74:11]), .rsp_pa(outputs[126:75]), .rsp_memory(outputs[129:127]),
        .inv_valid(inv_valid), .inv_pcid_op(inv_pcid_op), .inv_type(inv_type), .inv_pcid(inv_pcid), .inv_va(inv_va),
        .inv_done(outputs[130]), .inv_vector(outputs[134:131]), .mem_valid(outputs[135]), .mem_exchange(outputs[136]),
        .mem_wide(outputs[137]), .mem_pa(outputs[189:138]), .mem_expected(outputs[253:190]),
        .mem_desired(outputs[317:254]), .mem_rsp_valid(mem_rsp_valid), .mem_rsp_data(mem_rsp_data),
        .cr0(outputs[381:318]), .cr3(outputs[445:382]), .cr4(outputs[509:446]), .efer(outputs[573:510]),
        .eflags_ac(outputs[574]), .pat(outputs[638:575]), .debug(debug), .debug_word(outputs[702:639]));
endmodule
`default_nettype wire
