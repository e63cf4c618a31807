// What the harnesses have in common: one reset cycle at power-on, and the claim of a harness. `bad` must never become true;
// `reached` must be able to, or the proof would say nothing. Both are outputs of the harness.
`ifndef FORMAL_SVH
`define FORMAL_SVH

`define POWER_ON \
    logic rst_n; \
    initial rst_n = 1'b0; \
    always_ff @(posedge clk) rst_n <= 1'b1;

// Of a harness around the walker: its ports, and small_walker.sv with what it says.
`define WALKER_PORTS \
    input logic clk, \
    input logic begin_walk, \
    input logic [1:0] begin_mode, \
    input logic [6:0] begin_bits, \
    input logic [3:0] begin_features, \
    input logic [1:0] begin_type, \
    input logic [1:0] begin_as, \
    input logic [1:0] begin_below, \
    input logic [2:0] begin_rights, \
    input logic begin_present, \
    input logic answer, \
    input logic [14:0] answer_bits, \
    output logic bad, \
    output logic reached

`define SMALL_WALKER \
    logic start, busy, done, fault, fault_present, fault_reserved, mem_valid, mem_exchange, answer_valid, pending, exchange_q, restart; \
    logic judged, must_fault, must_present, must_reserved; \
    logic [2:0] mem_level; \
    logic [63:0] mem_expected, mem_desired, answer_data; \
    mmu_type_t access_type; \
    mmu_mode_t mode; \
    paging_t paging; \
    small_walker u_small (.*);

`define CLAIM(is_bad, is_reached) \
    assign bad = rst_n && (is_bad); \
    assign reached = rst_n && (is_reached); \
    always_ff @(posedge clk) begin : claim \
        assert (!bad); \
    end

`endif
