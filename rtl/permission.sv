// Access rights, SDM volume 3, 4.6: may this access use a translation whose entries gave RW, US and NX? One module for
// the hit path and for the walker, so that both always judge alike. It works from raw bits, so that CR0.WP, CR4.SMEP,
// CR4.SMAP, EFER.NXE and EFLAGS.AC act on the next access without a flush.
//
// Combinational: enable, access, paging, rights -> fault in the same cycle.
`default_nettype none
`include "mmu_types.svh"

module permission (
    `MUT_PORT
    input logic enable,  // nothing is judged, and no power spent, without it
    input mmu_type_t access_type,
    input mmu_mode_t mode,
    /* verilator lint_off UNUSEDSIGNAL */
    input paging_t paging,  // PG, PSE, PGE and the like have no say here
    /* verilator lint_on UNUSEDSIGNAL */
    input rights_t rights,
    output logic fault
);
    logic is_write, ac_excuses, execute_fault, smap_fault;

    always_comb begin
        is_write = access_type == TYPE_WRITE || access_type == TYPE_MODIFY;
        ac_excuses = 1'b0;
        execute_fault = 1'b0;
        smap_fault = 1'b0;
        fault = 1'b0;
        if (enable) begin
            if (access_type == TYPE_FETCH) begin
                execute_fault = rights.nx && paging.nxe && `MUT(33, 1'b1, 1'b0);
            end
            if (mode == MODE_USER) begin
                fault = !rights.us || (is_write && !rights.rw) || execute_fault;
            end else begin
                ac_excuses = `MUT(23, mode == MODE_SUPERVISOR, 1'b1) && paging.ac;
                if (access_type == TYPE_FETCH) begin
                    execute_fault = execute_fault || (rights.us && paging.smep && `MUT(22, 1'b1, 1'b0));
                end else begin
                    smap_fault = rights.us && paging.smap && !ac_excuses && `MUT(21, 1'b1, 1'b0);
                end
                fault = (is_write && !rights.rw && paging.wp) || smap_fault || execute_fault;
            end
        end
    end
endmodule
`default_nettype wire
