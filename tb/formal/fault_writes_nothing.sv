// (6) No A or D bit is set for an access that faults. A walk asks for an exchange only when the entries that it has read, since
// it began or began anew, are complete and allow the access; one that then faults has not written since. An exchange sets A,
// D only in a leaf and for a write, and nothing else.
`default_nettype none
`include "mmu_types.svh"
`include "formal.svh"

module fault_writes_nothing (
    `WALKER_PORTS
);
    `POWER_ON
    `SMALL_WALKER

    logic wrote_q, is_write, other;
    logic [63:0] set;
    always_ff @(posedge clk) begin : history
        if (!rst_n || start || restart) begin
            wrote_q <= 1'b0;
        end else if (mem_valid && mem_exchange) begin
            wrote_q <= 1'b1;
        end
    end
    always_comb begin : change
        is_write = access_type == TYPE_WRITE || access_type == TYPE_MODIFY;
        set = mem_expected ^ mem_desired;
        other = set == '0 || (set & mem_expected) != '0 || (set & ~64'h60) != '0 ||
            (set[PTE_D] && (!is_write || mem_level != leaf_level));
    end
    // Reached: a walk that has written A begins anew, and faults.
    logic again_q;
    always_ff @(posedge clk) begin : witness
        again_q <= rst_n && !start && (again_q || restart);
    end
    `CLAIM((mem_valid && mem_exchange && (!judged || must_fault || other)) || (done && fault && wrote_q && !start),
        done && fault && again_q)
endmodule
`default_nettype wire
