// CR0, CR3, CR4, EFER, EFLAGS.AC and PAT: what a bad value does (#GP, nothing changed), which writes load the PDPTE
// registers, and what a change drops (SDM volume 3, 4.4.1 and 4.10.4.1; the table is in rtl/README.md).
//
//   cycle          t       …   end
//   check, op      __/-----------\__        a control write is the head
//   gp, loads      __/-----------\__        combinational
//   commit         __________/---\__        the same cycle, or with loads that in which the PDPTEs have come
//   drop           __________/---\__
//   register                       <new>
`default_nettype none
`include "mmu_types.svh"

module control_registers (
    input logic clk,
    input logic rst_n,
    `MUT_PORT
    /* verilator lint_off UNUSEDSIGNAL */
    input logic [CPU_FEATURES-1:0] features,
    input logic [51:32] beyond,          // physical address bits that the CPU does not have
    /* verilator lint_on UNUSEDSIGNAL */
    input logic check,
    input logic commit,
    input mmu_op_t op,
    input logic [63:0] value,
    output logic gp,
    output logic loads,                  // the PDPTE registers, from load_base
    output logic [31:5] load_base,
    output drop_t drop,                  // with commit
    output logic [11:0] drop_pcid,
    output logic cr3_written,            // events
    output logic flushed,
    output paging_t paging,
    output logic pcide,
    output logic [11:0] pcid,
    output logic [63:0] cr0,
    output logic [63:0] cr3,
    output logic [63:0] cr4,
    output logic [63:0] efer,
    output logic [63:0] pat
);
    logic [63:0] cr0_q, cr3_q, cr4_q, efer_q, pat_q, changed;
    // What of a value the CPU can hold; more is #GP. The registers take no more, so that synthesis drops what only a feature
    // that is not built could set.
    logic [63:0] next_cr4, next_efer, next_pat;
    paging_t paging_q;
    logic [11:0] pcid_q;
    logic flush, bad_pat, was_lma, will_pae;

    always_comb begin : effects
        changed = '0;
        next_cr4 = '0;
        next_efer = '0;
        next_pat = PAT_RESET;
        gp = 1'b0;
        loads = 1'b0;
        load_base = cr3_q[31:5];
        flush = 1'b0;
        bad_pat = 1'b0;
        was_lma = 1'b0;
        will_pae = 1'b0;
        if (check) begin
            was_lma = cr0_q[CR0_PG] && efer_q[EFER_LME];
            case (op)
                OP_CR0: begin
                    changed = cr0_q ^ value;
                    gp = (value[CR0_PG] && !value[CR0_PE]) || (value[CR0_PG] && efer_q[EFER_LME] && !cr4_q[CR4_PAE]) ||
                        (!value[CR0_PG] && cr4_q[CR4_PCIDE]);
                    flush = changed[CR0_PG];
                    loads = changed[CR0_PG] && value[CR0_PG] && cr4_q[CR4_PAE] && !efer_q[EFER_LME];
                end
                OP_CR3: begin
                    gp = was_lma && ((value[51:32] & beyond) != '0 || value[62:52] != '0 ||
                        (value[CR3_KEEP] && !cr4_q[CR4_PCIDE]));
                    loads = cr0_q[CR0_PG] && cr4_q[CR4_PAE] && !efer_q[EFER_LME] && `MUT(42, 1'b1, 1'b0);
                    load_base = value[31:5] & `MUT(81, ~27'd0, ~27'h7F);
                end
                OP_CR4: begin
                    next_cr4 = value;
                    next_cr4[CR4_PSE] = value[CR4_PSE] && features[CPU_PSE];
                    next_cr4[CR4_PAE] = value[CR4_PAE] && features[CPU_PAE];
                    next_cr4[CR4_PGE] = value[CR4_PGE] && features[CPU_PGE];
                    next_cr4[CR4_PCIDE] = value[CR4_PCIDE] && features[CPU_PCID];
                    next_cr4[CR4_SMEP] = value[CR4_SMEP] && features[CPU_SMEP];
                    next_cr4[CR4_SMAP] = value[CR4_SMAP] && features[CPU_SMAP];
                    changed = cr4_q ^ next_cr4;
                    gp = next_cr4 != value || (was_lma && !value[CR4_PAE]) ||
                        (changed[CR4_PCIDE] && next_cr4[CR4_PCIDE] && (!was_lma || cr3_q[11:0] != '0));
                    flush = changed[CR4_PSE] || `MUT(6, changed[CR4_PGE], 1'b0) || changed[CR4_PAE] ||
                        (changed[CR4_PCIDE] && !next_cr4[CR4_PCIDE]) ||
                        `MUT(7, changed[CR4_SMEP] && next_cr4[CR4_SMEP], 1'b0);
                    will_pae = cr0_q[CR0_PG] && next_cr4[CR4_PAE] && !efer_q[EFER_LME];
                    loads = will_pae && (changed[CR4_PAE] || changed[CR4_PGE] || changed[CR4_PSE] || changed[CR4_SMEP]);
                end
                OP_EFER: begin
                    next_efer = value;
                    next_efer[EFER_LME] = value[EFER_LME] && features[CPU_LONG];
                    next_efer[EFER_NXE] = value[EFER_NXE] && features[CPU_NX];
                    changed = efer_q ^ next_efer;
                    gp = next_efer != value || (changed[EFER_LME] && cr0_q[CR0_PG]);
                end
                OP_PAT: begin
                    for (int i = 0; i < 8; i++) begin
                        if (value[i*8 +: 8] > 8'd7 || value[i*8 +: 8] == 8'd2 || value[i*8 +: 8] == 8'd3) begin
                            bad_pat = 1'b1;
                        end
                    end
                    if (features[CPU_PAT]) begin
                        next_pat = value;
                    end
                    gp = bad_pat || !features[CPU_PAT];
                end
                default: ;
            endcase
            loads = loads && !gp;
        end
    end

    always_comb begin : invalidate
        drop = DROP_NONE;
        drop_pcid = pcid;
        cr3_written = 1'b0;
        flushed = 1'b0;
        if (commit) begin
            flushed = flush;
            if (flush) begin
                drop = DROP_ALL;
            end
            if (op == OP_CR3) begin
                cr3_written = 1'b1;
                drop_pcid = value[11:0];
                if (!cr4_q[CR4_PCIDE]) begin
                    drop_pcid = '0;
                    drop = DROP_NONGLOBAL;
`ifdef MUTATE
                    if (mut_sel == 30) begin
                        drop = DROP_ALL;
                    end
`endif
                end else if (!value[CR3_KEEP] || `MUT(43, 1'b0, 1'b1)) begin
                    drop = DROP_CONTEXT;
                end
            end
        end
    end

    // The view that the checks use is kept beside the registers, so that nothing is worked out anew in each cycle.
    always_ff @(posedge clk) begin : registers
        if (!rst_n) begin
            cr0_q <= '0;
            cr3_q <= '0;
            cr4_q <= '0;
            efer_q <= '0;
            pat_q <= PAT_RESET;
            paging_q <= '0;
            pcid_q <= '0;
        end else if (commit) begin
            case (op)
                OP_CR0: begin
                    cr0_q <= value;
                    efer_q[EFER_LMA] <= value[CR0_PG] && efer_q[EFER_LME];
                    paging_q.pg <= value[CR0_PG];
                    paging_q.lma <= value[CR0_PG] && efer_q[EFER_LME] && features[CPU_LONG];
                    paging_q.pae <= value[CR0_PG] && cr4_q[CR4_PAE] && features[CPU_PAE];
                    paging_q.wp <= value[CR0_WP];
                end
                OP_CR3: begin
                    cr3_q <= {1'b0, value[62:0]};
                    if (cr4_q[CR4_PCIDE] && features[CPU_PCID]) begin
                        pcid_q <= value[11:0];
                    end
                end
                OP_CR4: begin
                    cr4_q <= next_cr4;
                    paging_q.pae <= cr0_q[CR0_PG] && next_cr4[CR4_PAE];
                    paging_q.pse <= next_cr4[CR4_PSE];
                    paging_q.pge <= next_cr4[CR4_PGE];
                    paging_q.nxe <= next_cr4[CR4_PAE] && efer_q[EFER_NXE] && features[CPU_NX];
                    paging_q.smep <= next_cr4[CR4_SMEP];
                    paging_q.smap <= next_cr4[CR4_SMAP];
                    pcid_q <= next_cr4[CR4_PCIDE] ? cr3_q[11:0] : 12'd0;
                end
                OP_EFER: begin
                    efer_q <= {next_efer[63:EFER_LMA+1], next_efer[EFER_LME] && cr0_q[CR0_PG], next_efer[EFER_LMA-1:0]};
                    paging_q.nxe <= next_efer[EFER_NXE] && cr4_q[CR4_PAE];
                end
                OP_AC: paging_q.ac <= value != '0;
                OP_PAT: pat_q <= next_pat;
                default: ;
            endcase
        end
    end
    assign paging = paging_q;
    assign pcid = pcid_q;
    assign pcide = cr4_q[CR4_PCIDE];
    assign cr0 = cr0_q;
    assign cr3 = cr3_q;
    assign cr4 = cr4_q;
    assign efer = efer_q;
    assign pat = pat_q;

    always_ff @(posedge clk) begin : rules
        if (rst_n) begin
            assert (!(gp && (loads || commit)));
            assert (!cr0_q[CR0_PG] || cr0_q[CR0_PE]);
            assert (!paging.lma || (cr4_q[CR4_PAE] && cr0_q[CR0_PG] && efer_q[EFER_LME]));
            assert (!cr4_q[CR4_PCIDE] || paging.lma);
            assert (pcid_q == (cr4_q[CR4_PCIDE] ? cr3_q[11:0] : 12'd0));
            assert (efer_q[EFER_LMA] == paging.lma);
            assert (!cr3_q[CR3_KEEP]);
        end
    end
endmodule
`default_nettype wire
