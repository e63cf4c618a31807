// Event counters, one for each field of struct mmu_statistics (csrc/include/ntmmu/mmu.h), read through the debug port.
//
//   cycle           t        t+1
//   event           __/---\__
//   counter                  <n+1>
//   debug_read      __/---\__
//   debug_count      <value>         combinational
// debug_hold marks a cycle that is the debugger's and not the program's: the cycle counter stands still in it.
// Numbers of the debug port: 0..12 hits by array, 13, 14 pde_hits, 15..20 misses by side and size, 21, 22 miss_fault, then
// the rest in the order of the structure.
`default_nettype none
`include "mmu_types.svh"

module counters (
    input logic clk,
    input logic rst_n,
    // one access answered that was looked up
    input logic access_done,
    input logic instruction,
    input logic hit,
    input logic [3:0] hit_array,     // enum mmu_array
    input logic leaf_found,
    input logic [1:0] leaf_class,
    // walks
    input logic walk_start,
    input logic walk_dirty,
    input logic walk_busy,
    input logic walk_restart,
    input logic [2:0] from_level,    // of the paging-structure cache that it began from, 0 = none
    input logic from_second,         // from a PDE entry of the second level,
    input logic second_side,         // in array istlb or stlb (0), dstlb (1)
    input logic table_read,
    input logic table_write,
    // faults and operations
    input logic fault,
    input logic operation,           // one of the following can be
    input logic invlpg,
    input logic invpcid,
    input logic pdpte_load,
    input logic cr3_write,
    input logic fault_drop,
    input logic flush_all,
    // debug
    input logic debug_hold,
    input logic debug_read,
    input logic [5:0] debug_counter,
    output logic [63:0] debug_count
);
    logic [63:0] counts_q [0:31];    // 0..22, see above
    logic [63:0] walks_q, walk_restarts_q, dirty_walks_q, walk_cycles_q, table_reads_q, table_writes_q, pdpte_loads_q;
    logic [63:0] faults_q, invlpg_q, invpcid_q, cr3_writes_q, fault_drops_q, flush_all_q, cycles_q;
    logic [4:0] number;              // at most one of them counts in a cycle
    logic counts;

    always_comb begin : choose
        counts = 1'b0;
        number = {1'b0, hit_array};
        if (access_done) begin
            counts = 1'b1;
            if (!hit) begin
                number = leaf_found ? 5'd15 + {3'd0, leaf_class} : 5'd21;
                if (!instruction) begin
                    number = number + (leaf_found ? 5'd3 : 5'd1);
                end
            end
        end else if (walk_start) begin
            counts = from_level != '0;
            number = from_second ? 5'd13 + {4'd0, second_side} : 5'd8 + {2'd0, from_level};
        end
    end

    always_ff @(posedge clk) begin : lookups
        if (!rst_n) begin
            for (int i = 0; i < 32; i++) begin
                counts_q[i] <= '0;
            end
        end else if (counts) begin
            counts_q[number] <= counts_q[number] + 64'd1;
        end
    end

    always_ff @(posedge clk) begin : events
        if (!rst_n) begin
            walks_q <= '0;
            walk_restarts_q <= '0;
            dirty_walks_q <= '0;
            walk_cycles_q <= '0;
            table_reads_q <= '0;
            table_writes_q <= '0;
            pdpte_loads_q <= '0;
            faults_q <= '0;
            invlpg_q <= '0;
            invpcid_q <= '0;
            cr3_writes_q <= '0;
            fault_drops_q <= '0;
            flush_all_q <= '0;
            cycles_q <= '0;
        end else begin
            if (!debug_hold) begin
                cycles_q <= cycles_q + 64'd1;
            end
            if (walk_start || walk_busy) begin
                walk_cycles_q <= walk_cycles_q + 64'd1;
                walks_q <= walks_q + 64'(walk_start);
                dirty_walks_q <= dirty_walks_q + 64'(walk_start && walk_dirty);
                walk_restarts_q <= walk_restarts_q + 64'(walk_restart);
                table_reads_q <= table_reads_q + 64'(table_read);
                table_writes_q <= table_writes_q + 64'(table_write);
            end
            if (fault || operation) begin
                faults_q <= faults_q + 64'(fault);
                fault_drops_q <= fault_drops_q + 64'(fault_drop);
                invlpg_q <= invlpg_q + 64'(invlpg);
                invpcid_q <= invpcid_q + 64'(invpcid);
                cr3_writes_q <= cr3_writes_q + 64'(cr3_write);
                flush_all_q <= flush_all_q + 64'(flush_all);
                pdpte_loads_q <= pdpte_loads_q + 64'(pdpte_load);
            end
        end
    end

    always_comb begin : debug_port
        debug_count = '0;
        if (debug_read) begin
            case (debug_counter)
                6'd23: debug_count = walks_q;
                6'd24: debug_count = walk_restarts_q;
                6'd25: debug_count = dirty_walks_q;
                6'd26: debug_count = walk_cycles_q;
                6'd27: debug_count = table_reads_q;
                6'd28: debug_count = table_writes_q;
                6'd29: debug_count = pdpte_loads_q;
                6'd30: debug_count = faults_q;
                6'd31: debug_count = invlpg_q;
                6'd32: debug_count = invpcid_q;
                6'd33: debug_count = cr3_writes_q;
                6'd34: debug_count = fault_drops_q;
                6'd35: debug_count = flush_all_q;
                6'd36: debug_count = cycles_q;
                default: debug_count = counts_q[debug_counter[4:0]];
            endcase
        end
    end
endmodule
`default_nettype wire
