// (7) The fault code is a function of the entries read: a walk ends with a fault exactly if the entries read since it began,
// or began anew, do not allow the access, and its bits P and RSVD are what those entries say; whatever was walked before,
// however long the memory takes, whatever exchanges did. The judge in small_walker.sv is that function.
`default_nettype none
`include "mmu_types.svh"
`include "formal.svh"

module fault_code (
    input logic clk,
    input logic begin_walk,
    input logic [1:0] begin_mode,
    input logic [6:0] begin_bits,
    input logic [3:0] begin_features,
    input logic [1:0] begin_type,
    input logic [1:0] begin_as,
    input logic [1:0] begin_below,
    input logic [2:0] begin_rights,
    input logic begin_present,
    input logic answer,
    input logic [14:0] answer_bits,
    output logic bad,
    output logic reached
);
    `POWER_ON
    logic start, busy, done, fault, fault_present, fault_reserved, mem_valid, mem_exchange, answer_valid, pending, exchange_q, restart;
    logic judged, must_fault, must_present, must_reserved;
    logic [2:0] mem_level;
    logic [63:0] mem_expected, mem_desired, answer_data;
    mmu_type_t access_type;
    mmu_mode_t mode;
    paging_t paging;
    small_walker u_small (.*);

    // Reached: a reserved bit found after a walk began anew.
    logic again_q;
    always_ff @(posedge clk) begin : witness
        again_q <= rst_n && !start && (again_q || restart);
    end
    `CLAIM((done && (!judged || fault != must_fault ||
        (fault && (fault_present != must_present || fault_reserved != must_reserved)))) ||
        (answer_valid && !exchange_q && must_fault && !done),
        done && fault_reserved && again_q)
endmodule
`default_nettype wire
