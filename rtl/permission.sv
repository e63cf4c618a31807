// Access rights, SDM volume 3, 4.6: may this access use a translation whose entries gave RW and US? One module for
// the hit path and for the walker, so that both always judge alike. It works from raw bits, so that CR0.WP, CR4.SMEP,
// CR4.SMAP and EFLAGS.AC act on the next access without a flush.
//
// Combinational: enable, access, paging, rw, us -> fault in the same cycle.
`default_nettype none
`include "mmu_types.svh"

module permission (
    `MUT_PORT
    input logic enable,  // nothing is judged, and no power spent, without it
    input mmu_type_t access_type,
    input mmu_mode_t mode,
    /* verilator lint_off UNUSEDSIGNAL */
    input paging_t paging,  // PG, PSE and PGE have no say here
    /* verilator lint_on UNUSEDSIGNAL */
    input logic rw,
    input logic us,
    output logic fault
);
    logic is_write, is_fetch, ac_excuses, smap_fault, smep_fault;

    always_comb begin
        is_write = 1'b0;
        is_fetch = 1'b0;
        ac_excuses = 1'b0;
        smap_fault = 1'b0;
        smep_fault = 1'b0;
        fault = 1'b0;
        if (enable) begin
            is_write = access_type == TYPE_WRITE || access_type == TYPE_MODIFY;
            is_fetch = access_type == TYPE_FETCH;
            ac_excuses = `MUT(23, mode == MODE_SUPERVISOR, 1'b1) && paging.ac;
            smap_fault = us && !is_fetch && paging.smap && !ac_excuses;
            smep_fault = us && is_fetch && paging.smep;
            if (mode == MODE_USER) begin
                fault = !us || (is_write && !rw);
            end else begin
                fault = (is_write && !rw && paging.wp) || `MUT(21, smap_fault, 1'b0) || `MUT(22, smep_fault, 1'b0);
            end
        end
    end
endmodule
`default_nettype wire
