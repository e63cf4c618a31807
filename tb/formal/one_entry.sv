// (2) No two valid entries for one page: no set of an array ever has two valid entries of one class and page that are of
// one PCID, or both global. (One global and one of another PCID can stand side by side: a fill sees only what a look-up
// with its PCID would. Then the global one's own fill finds both and leaves one.)
//
// Two ways of a set are watched through the debug port: its valid bits, then both tags, with no change in between.
//
//   cycle        t       t+1      t+2
//   step_q       0       1        2
//   debug        <valid> <tag a>  <tag b>
//   change       ________________            else it begins anew
`default_nettype none
`include "mmu_types.svh"
`include "formal.svh"

module one_entry #(
    parameter int LEVEL = 1,
    parameter int CLASSES = 3,
    parameter int SETS = 2,
    parameter int WAYS = 2,
    parameter int FRAGMENTS = 0,
    parameter int REPLACEMENT = 0
) (
    `ARRAY_PORTS,
    input logic [1:0] watch_a,
    input logic [1:0] watch_b
);
    `POWER_ON
    `ARRAY_SIGNALS
    logic alike;
    logic [1:0] a_q, b_q;
    logic [51:0] first_q;

    small_array #(.LEVEL(LEVEL), .CLASSES(CLASSES), .SETS(SETS), .WAYS(WAYS), .FRAGMENTS(FRAGMENTS), .REPLACEMENT(REPLACEMENT))
        u_small (.*, .tag(step_q != 2'd0), .set(set_q), .way(step_q == 2'd1 ? a_q : b_q));

    always_comb begin : compare
        tag = debug_word[51:0];
        // class and page
        alike = step_q == 2'd2 && tag.tlb_class == first_q[49:48] && tag.page == first_q[35:0];
    end

    always_ff @(posedge clk) begin : watch
        if (!rst_n) begin
            set_q <= watch_set;
            a_q <= watch_a;
            b_q <= watch_b;
        end
        first_q <= debug_word[51:0];
        step_q <= 2'd0;
        if (rst_n && !change && step_q == 2'd0 && ask && a_q < b_q && 32'(b_q) < WAYS && debug_word[a_q] && debug_word[b_q]) begin
            step_q <= 2'd1;
        end else if (rst_n && !change && step_q == 2'd1) begin
            step_q <= 2'd2;
        end
    end
    // Reached: one page twice, of different PCIDs.
    `CLAIM(alike && (tag.pcid == first_q[47:36] || (tag.g && first_q[50])),
        alike && tag.pcid != first_q[47:36] && !tag.g && !first_q[50])
endmodule
`default_nettype wire
