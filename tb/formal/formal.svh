// What the harnesses have in common: one reset cycle at power-on, and the claim of a harness. `bad` must never become true;
// `reached` must be able to, or the proof would say nothing. Both are outputs of the harness.
`ifndef FORMAL_SVH
`define FORMAL_SVH

`define POWER_ON \
    logic rst_n; \
    initial rst_n = 1'b0; \
    always_ff @(posedge clk) rst_n <= 1'b1;

// Of a harness around one array, which watches a set of it, fixed in the reset cycle, through the debug port: what its world
// chooses, before ports of its own, and what small_array.sv says.
`define ARRAY_PORTS \
    input logic clk, \
    output logic bad, \
    output logic reached, \
    input logic [3:0] page, \
    input logic [1:0] large, \
    input logic pcid_bit, \
    input logic [2:0] act, \
    input logic [2:0] act_drop, \
    input logic [1:0] act_class, \
    input logic [1:0] act_pde, \
    input logic act_global, \
    input logic act_fragment, \
    input logic [1:0] act_way, \
    input logic [1:0] act_pde_way, \
    input logic ask, \
    input logic watch_set

`define ARRAY_SIGNALS \
    logic touch, fill, pde_touch, pde_fill, change, set_q; \
    drop_t drop; \
    logic [VA_MAX-1:12] va; \
    logic [26:0] va_large; \
    logic [63:0] debug_word; \
    logic [1:0] step_q; \
    debug_tag_t tag;

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
    logic [2:0] mem_level, leaf_level; \
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
