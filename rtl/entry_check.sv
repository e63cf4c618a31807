// The formats of paging-structure entries of all modes in one place, SDM volume 3, 4.3 to 4.5: is this entry a leaf, is a
// reserved bit set in it, which frame does it name.
//
// Combinational: enable, entry, level, paging -> answers in the same cycle; zeros without enable.
`default_nettype none
`include "mmu_types.svh"

module entry_check (
    `MUT_PORT
    input logic enable,
    /* verilator lint_off UNUSEDSIGNAL */
    input logic [63:0] entry,          // a 4-byte entry in bits 31:0
    input logic [2:0] level,           // 1 = PTE … 4 = PML4E
    input paging_t paging,
    input logic [CPU_FEATURES-1:0] features,
    input logic is_fetch,              // a mutant asks
    /* verilator lint_on UNUSEDSIGNAL */
    input logic [51:32] beyond,        // physical address bits that the CPU does not have
    output logic leaf,
    output logic reserved,
    output logic [51:12] frame,        // of the page, or of the table below
    output logic [2:0] memory          // PAT, PCD, PWT of a leaf
);
    logic [7:0] pse36_reserved;
    logic pat;

    always_comb begin : decode
        leaf = 1'b0;
        reserved = 1'b0;
        frame = '0;
        memory = '0;
        pse36_reserved = '0;
        pat = 1'b0;
        if (enable) begin
            leaf = level == 3'd1 || (entry[PTE_PS] && (
                (level == 3'd2 && (paging.pae || `MUT(12, paging.pse, 1'b1))) || (level == 3'd3 && features[CPU_1G])));
            if (paging.pae) begin
                frame = entry[51:12] & `MUT(82, ~40'd0, ~40'hF00000);
                reserved = `MUT(11, (entry[51:32] & beyond) != '0, 1'b0) || (!paging.lma && entry[62:52] != '0) ||
                    (entry[PTE_NX] && `MUT(35, !paging.nxe, 1'b0));
                if (leaf && level == 3'd2) begin
                    frame[20:12] = '0;
                    reserved = reserved || `MUT(36, entry[20:13] != '0, 1'b0);
                end else if (leaf && level == 3'd3) begin
                    frame[29:12] = '0;
                    reserved = reserved || `MUT(36, entry[29:13] != '0, 1'b0);
                end else if (!leaf && level >= 3'd3) begin
                    reserved = reserved || (entry[PTE_PS] && `MUT(37, 1'b1, 1'b0));
                end
            end else begin
                frame = {20'd0, entry[31:12]};
                if (leaf && level == 3'd2) begin
                    pse36_reserved = features[CPU_PSE36] ? `MUT(11, beyond[39:32], 8'h00) : 8'hFF;
                    reserved = entry[PDE_4M_RESERVED] || (entry[PDE_PSE36_LOW +: 8] & pse36_reserved) != '0;
                    frame = {12'd0, `MUT(13, entry[PDE_PSE36_LOW +: 8], 8'h00), entry[31:22], 10'd0};
                end
            end
            // Without PAT its bit is reserved, where there are reserved bits at all.
            if (!features[CPU_PAT] && (paging.pae || paging.pse)) begin
                reserved = reserved || (level == 3'd1 && entry[PTE_PAT]) ||
                    (leaf && level != 3'd1 && entry[PTE_PAT_LARGE]);
            end
            reserved = reserved && `MUT(32, 1'b1, !is_fetch) && `MUT(78, 1'b1, leaf);
            pat = level == 3'd1 ? entry[PTE_PAT] : `MUT(38, entry[PTE_PAT_LARGE], entry[PTE_PAT]);
            memory = {pat && features[CPU_PAT], entry[PTE_PWT+1], entry[PTE_PWT]};
        end
    end
endmodule
`default_nettype wire
