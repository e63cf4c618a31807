// (7) The fault code is a function of the entries read: a walk ends with a fault exactly if the entries read since it began,
// or began anew, do not allow the access, and its bits P and RSVD are what those entries say; whatever was walked before,
// however long the memory takes, whatever exchanges did. The judge in small_walker.sv is that function.
`default_nettype none
`include "mmu_types.svh"
`include "formal.svh"

module fault_code (
    `WALKER_PORTS
);
    `POWER_ON
    `SMALL_WALKER

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
