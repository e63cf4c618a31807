// CR0, CR3, CR4, EFER and EFLAGS.AC: writing them, what a bad value does (#GP, nothing changed), and which TLB entries
// a change drops (SDM volume 3, 4.10.4.1). They are 64 bits wide so that PAE and 4-level paging need no other ports.
//
//   cycle        t         t+1
//   write, op    __/---\__
//   gp, flush_*  __/---\__           combinational
//   register                <new>
`default_nettype none
`include "mmu_types.svh"

module control_registers (
    input logic clk,
    input logic rst_n,
    `MUT_PORT
    input logic write,
    input mmu_op_t op,
    input logic [63:0] value,
    output logic gp,
    output logic cr3_written,
    output logic flush_nonglobal,
    output logic flush_all,
    output paging_t paging,
    output logic [31:12] cr3_frame,
    output logic [63:0] cr0,
    output logic [63:0] cr3,
    output logic [63:0] cr4,
    output logic [63:0] efer
);
    logic [63:0] cr0_q, cr3_q, cr4_q, efer_q;
    logic ac_q;
    logic [63:0] cr0_changed, cr4_changed;

    always_comb begin : effects
        cr0_changed = '0;
        cr4_changed = '0;
        gp = 1'b0;
        flush_all = 1'b0;
        flush_nonglobal = 1'b0;
        cr3_written = 1'b0;
        if (write) begin
            cr0_changed = cr0_q ^ value;
            cr4_changed = cr4_q ^ value;
            case (op)
                OP_CR0: begin
                    gp = value[CR0_PG] && !value[CR0_PE];
                    flush_all = !gp && cr0_changed[CR0_PG];
                end
                OP_CR3: begin
                    cr3_written = 1'b1;
                    flush_nonglobal = `MUT(30, 1'b1, 1'b0);
                    flush_all = `MUT(30, 1'b0, 1'b1);
                end
                OP_CR4: begin
                    gp = value[CR4_PAE];  // no CPU of this version has PAE
                    flush_all = !gp && (cr4_changed[CR4_PSE] || `MUT(6, cr4_changed[CR4_PGE], 1'b0) ||
                                        `MUT(7, cr4_changed[CR4_SMEP] && value[CR4_SMEP], 1'b0));
                end
                default: ;
            endcase
        end
    end

    always_ff @(posedge clk) begin : registers
        if (!rst_n) begin
            cr0_q <= '0;
            cr3_q <= '0;
            cr4_q <= '0;
            efer_q <= '0;
            ac_q <= 1'b0;
        end else if (write && !gp) begin
            case (op)
                OP_CR0: cr0_q <= value;
                OP_CR3: cr3_q <= value;
                OP_CR4: cr4_q <= value;
                OP_EFER: efer_q <= value;
                OP_AC: ac_q <= value != '0;
                default: ;
            endcase
        end
    end

    always_comb begin : view
        paging.pg = cr0_q[CR0_PG];
        paging.wp = cr0_q[CR0_WP];
        paging.pse = cr4_q[CR4_PSE];
        paging.pge = cr4_q[CR4_PGE];
        paging.smep = cr4_q[CR4_SMEP];
        paging.smap = cr4_q[CR4_SMAP];
        paging.ac = ac_q;
    end
    assign cr3_frame = cr3_q[31:12];
    assign cr0 = cr0_q;
    assign cr3 = cr3_q;
    assign cr4 = cr4_q;
    assign efer = efer_q;

    always_ff @(posedge clk) begin : rules
        if (rst_n) begin
            assert (!(gp && (flush_all || flush_nonglobal)));
            assert (!cr0_q[CR0_PG] || cr0_q[CR0_PE]);
            assert (!cr4_q[CR4_PAE]);
        end
    end
endmodule
`default_nettype wire
