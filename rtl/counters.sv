// Event counters, one for each field of struct mmu_statistics (csrc/include/ntmmu/mmu.h), read through the debug port.
//
//   cycle           t        t+1
//   event_*         __/---\__
//   counter                  <n+1>
//   debug_read      __/---\__
//   debug_count      <value>         combinational
// debug_hold marks a cycle that is the debugger's and not the program's: the cycle counter stands still in it.
`default_nettype none
`include "mmu_types.svh"

module counters (
    input logic clk,
    input logic rst_n,
    // one access completed with paging on
    input logic access_done,
    input logic instruction,
    input mmu_hit_t hit,
    input logic leaf_found,
    input logic large_page,
    input logic fault,
    input logic fault_drop,
    // walker
    input logic walk_start,
    input logic walk_dirty,
    input logic walk_busy,
    input logic walk_restart,
    input logic table_read,
    input logic table_write,
    // operations
    input logic invlpg,
    input logic cr3_write,
    input logic flush_all,
    // debug
    input logic debug_hold,
    input logic debug_read,
    input logic [4:0] debug_counter,
    output logic [63:0] debug_count
);
    // By side (instruction, data) and page size (4 KB, large): index {data, large}.
    logic [63:0] hits_q [0:3];
    logic [63:0] misses_q [0:3];
    logic [63:0] miss_fault_q [0:1];
    logic [63:0] walks_q, walk_restarts_q, dirty_walks_q, walk_cycles_q, table_reads_q, table_writes_q;
    logic [63:0] faults_q, invlpg_q, cr3_writes_q, flush_all_q, fault_drops_q, cycles_q;
    logic [1:0] array;

    assign array = {!instruction, large_page};

    always_ff @(posedge clk) begin : lookups
        if (!rst_n) begin
            for (int i = 0; i < 4; i++) begin
                hits_q[i] <= '0;
                misses_q[i] <= '0;
            end
            miss_fault_q[0] <= '0;
            miss_fault_q[1] <= '0;
        end else if (access_done) begin
            if (hit == HIT_L1) begin
                hits_q[array] <= hits_q[array] + 64'd1;
            end else if (leaf_found) begin
                misses_q[array] <= misses_q[array] + 64'd1;
            end else begin
                miss_fault_q[array[1]] <= miss_fault_q[array[1]] + 64'd1;
            end
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
            faults_q <= '0;
            fault_drops_q <= '0;
            invlpg_q <= '0;
            cr3_writes_q <= '0;
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
            if (fault) begin
                faults_q <= faults_q + 64'd1;
                fault_drops_q <= fault_drops_q + 64'(fault_drop);
            end
            if (invlpg || cr3_write || flush_all) begin
                invlpg_q <= invlpg_q + 64'(invlpg);
                cr3_writes_q <= cr3_writes_q + 64'(cr3_write);
                flush_all_q <= flush_all_q + 64'(flush_all);
            end
        end
    end

    // Numbers: see the debug port's table in rtl/README.md.
    always_comb begin : debug_port
        debug_count = '0;
        if (debug_read) begin
            case (debug_counter)
                5'd0, 5'd1, 5'd2, 5'd3: debug_count = hits_q[debug_counter[1:0]];
                5'd4, 5'd5, 5'd6, 5'd7: debug_count = misses_q[debug_counter[1:0]];
                5'd8, 5'd9: debug_count = miss_fault_q[debug_counter[0]];
                5'd10: debug_count = walks_q;
                5'd11: debug_count = walk_restarts_q;
                5'd12: debug_count = dirty_walks_q;
                5'd13: debug_count = walk_cycles_q;
                5'd14: debug_count = table_reads_q;
                5'd15: debug_count = table_writes_q;
                5'd16: debug_count = faults_q;
                5'd17: debug_count = invlpg_q;
                5'd18: debug_count = cr3_writes_q;
                5'd19: debug_count = flush_all_q;
                5'd20: debug_count = fault_drops_q;
                5'd21: debug_count = cycles_q;
                default: debug_count = '0;
            endcase
        end
    end
endmodule
`default_nettype wire
