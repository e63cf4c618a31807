// Memory type of an access, SDM volume 3, 11.12.3: the byte of the PAT register that PAT, PCD and PWT of the leaf select.
// Write-back with paging off. MTRRs and CR0.CD have no say here.
//
// Combinational: index, pat -> memory_type in the same cycle.
`default_nettype none
`include "mmu_types.svh"

module memory_type (
    input logic translated,
    input logic [2:0] index,
    input logic [63:0] pat,
    output logic [2:0] result
);
    always_comb begin
        result = MEMORY_WB;
        if (translated) begin
            result = pat[{index, 3'b000} +: 3];
        end
    end
    /* verilator lint_off UNUSEDSIGNAL */
    logic unused = &{1'b0, pat};  // of each byte three bits count; the others are checked to be 0 when it is written
    /* verilator lint_on UNUSEDSIGNAL */
endmodule
`default_nettype wire
