// What the harnesses have in common: one reset cycle at power-on, and the claim of a harness. `bad` must never become true;
// `reached` must be able to, or the proof would say nothing. Both are outputs of the harness.
`ifndef FORMAL_SVH
`define FORMAL_SVH

`define POWER_ON \
    logic rst_n; \
    initial rst_n = 1'b0; \
    always_ff @(posedge clk) rst_n <= 1'b1;

`define CLAIM(is_bad, is_reached) \
    assign bad = rst_n && (is_bad); \
    assign reached = rst_n && (is_reached); \
    always_ff @(posedge clk) begin : claim \
        assert (!bad); \
    end

`endif
