// Where in its table the entry for an address stands, in all modes: SDM volume 3, figures 4-2 to 4-11.
//
// Combinational: enable, level, frame of the table, va -> pa in the same cycle; zeros without enable.
`default_nettype none
`include "mmu_types.svh"

module table_address (
    input logic enable,
    input logic [2:0] level,           // 1 = PTE … 4 = PML4E
    input logic [51:12] frame,
    /* verilator lint_off UNUSEDSIGNAL */
    input logic [VA_MAX-1:0] va,
    /* verilator lint_on UNUSEDSIGNAL */
    input logic pae,                   // 8-byte entries
    output logic [PA_MAX-1:0] pa
);
    always_comb begin : address
        pa = '0;
        if (enable) begin
            case (level)
                3'd4: pa = {frame, va[47:39], 3'd0};
                3'd3: pa = {frame, va[38:30], 3'd0};
                3'd2: pa = pae ? {frame, va[29:21], 3'd0} : {frame, va[31:22], 2'd0};
                default: pa = pae ? {frame, va[20:12], 3'd0} : {frame, va[21:12], 2'd0};
            endcase
        end
    end
endmodule
`default_nettype wire
