// The MMU as it would stand in a CPU, for tb/synth.sh: the straps are the preset's, and buses are as wide as its registers
// and table entries, so that synthesis drops what this CPU cannot have. Without DEBUG there is no debug port, and with it
// go the counters, which nothing else reads.
`default_nettype none
`include "mmu_types.svh"

(* keep_hierarchy *)
module synth_top #(
    parameter int FEATURES = 0,
    parameter int PHYSICAL_BITS = 32,
    parameter int DEBUG = 0
) (
    input logic clk,
    input logic rst_n,
    input logic req_valid,
    output logic req_ready,
    input logic [2:0] req_op,
    input logic [1:0] req_type,
    input logic [1:0] req_mode,
    input logic [63:0] req_value,
    output logic rsp_valid,
    output logic [3:0] rsp_vector,
    output logic [4:0] rsp_error,
    output logic [63:0] rsp_cr2,
    output logic [PA_MAX-1:0] rsp_pa,
    output logic [2:0] rsp_memory,
    input logic inv_valid,
    input logic inv_pcid_op,
    input logic [63:0] inv_type,
    input logic [63:0] inv_pcid,
    input logic [63:0] inv_va,
    output logic inv_done,
    output logic [3:0] inv_vector,
    output logic mem_valid,
    output logic mem_exchange,
    output logic mem_wide,
    output logic [PA_MAX-1:0] mem_pa,
    output logic [63:0] mem_expected,
    output logic [63:0] mem_desired,
    input logic mem_rsp_valid,
    input logic [63:0] mem_rsp_data,
    output logic [63:0] cr0,
    output logic [63:0] cr3,
    output logic [63:0] cr4,
    output logic [63:0] efer,
    output logic eflags_ac,
    output logic [63:0] pat,
    input logic [24:0] debug,
    output logic [63:0] debug_word
);
    localparam logic [63:0] VALUES = FEATURES[CPU_LONG] || FEATURES[CPU_PAT] || FEATURES[CPU_NX] ? 64'hFFFFFFFF_FFFFFFFF : 64'hFFFFFFFF;
    localparam logic [63:0] ADDRESSES = FEATURES[CPU_LONG] ? 64'hFFFFFFFF_FFFFFFFF : 64'hFFFFFFFF;
    localparam logic [63:0] ENTRIES = FEATURES[CPU_PAE] || FEATURES[CPU_LONG] ? 64'hFFFFFFFF_FFFFFFFF : 64'hFFFFFFFF;
    localparam logic [63:0] OPERANDS = FEATURES[CPU_INVPCID] ? ADDRESSES : '0;
    localparam logic ANY_OPERANDS = OPERANDS[0];
    logic [24:0] question;
    assign question = DEBUG != 0 ? debug : '0;

    mmu u_mmu (
        .clk(clk), .rst_n(rst_n), .maxphyaddr(6'(PHYSICAL_BITS)), .features(CPU_FEATURES'(FEATURES)), .req_valid(req_valid),
        .req_ready(req_ready), .req_op(req_op), .req_type(req_type), .req_mode(req_mode), .req_value(req_value & VALUES),
        .rsp_valid(rsp_valid), .rsp_vector(rsp_vector), .rsp_error(rsp_error), .rsp_cr2(rsp_cr2), .rsp_pa(rsp_pa),
        .rsp_hit(), .rsp_page_shift(), .rsp_memory(rsp_memory), .rsp_psc_level(), .rsp_restarts(), .inv_valid(inv_valid),
        .inv_pcid_op(inv_pcid_op && ANY_OPERANDS), .inv_type(inv_type & OPERANDS), .inv_pcid(inv_pcid & OPERANDS),
        .inv_va(inv_va & ADDRESSES), .inv_done(inv_done), .inv_vector(inv_vector), .mem_valid(mem_valid), .mem_id(),
        .mem_exchange(mem_exchange), .mem_wide(mem_wide), .mem_level(), .mem_pa(mem_pa), .mem_expected(mem_expected),
        .mem_desired(mem_desired), .mem_rsp_valid(mem_rsp_valid), .mem_rsp_id(2'd0), .mem_rsp_data(mem_rsp_data & ENTRIES),
        .cr0(cr0), .cr3(cr3), .cr4(cr4), .efer(efer), .eflags_ac(eflags_ac), .pat(pat),
        .debug_hold(1'b0), .debug_read(question[24]), .debug_array(question[23:20]), .debug_field(question[19:18]),
        .debug_set(question[17:8]), .debug_way(question[5:0]), .debug_counter(question[7:2]), .debug_word(debug_word));
endmodule
`default_nettype wire
