// The four PDPTE registers of PAE paging, SDM volume 3, 4.4.1: read from memory by a control-register write, never by a
// walk. All four are read, whatever they hold; a reserved bit in one that is present makes the write #GP and changes none.
//
// Memory latency L = 1 drawn; the write is done in t + 4 (L + 1):
//   cycle        t     t+1   t+2   …   t+8
//   start        _/---\_
//   mem_valid    _/---\_______/---\_
//   answer_valid             _/---\_      /---\_
//   done         _________________________/---\_
`default_nettype none
`include "mmu_types.svh"

module pdpte_registers (
    input logic clk,
    input logic rst_n,
    `MUT_PORT
    input logic start,
    input logic [31:5] base,           // of the new CR3; it stands still from start to done
    input logic [51:32] beyond,        // physical address bits that the CPU does not have
    output logic done,
    output logic bad,                  // valid with done: #GP
    output logic mem_valid,
    output logic [PA_MAX-1:0] mem_pa,
    input logic answer_valid,          // of a read of these
    /* verilator lint_off UNUSEDSIGNAL */
    input logic [63:0] answer,
    /* verilator lint_on UNUSEDSIGNAL */
    // the register that a walk begins from
    input logic [31:30] index,
    output logic present,
    output logic [51:12] frame
);
    logic [159:0] frames_q;            // 40 bits each
    logic [3:0] present_q;
    logic [119:0] new_frames_q;        // what was read moves down
    logic [2:0] new_present_q;
    logic [1:0] number_q;              // of the read under way
    logic bad_q, answer_bad;

    always_comb begin : evaluate
        answer_bad = 1'b0;
        done = 1'b0;
        bad = 1'b0;
        mem_valid = start;
        mem_pa = '0;
        if (start) begin
            mem_pa = {20'd0, base, 5'd0};
        end
        if (answer_valid) begin
            answer_bad = answer[PTE_P] && (answer[2:1] != '0 || answer[8:5] != '0 || (answer[51:32] & beyond) != '0 ||
                answer[63:52] != '0);
            done = number_q == 2'd3;
            bad = bad_q || answer_bad;
            mem_valid = !done;
            mem_pa = {20'd0, base, number_q + 2'd1, 3'd0};
        end
    end

    always_ff @(posedge clk) begin : registers
        if (!rst_n) begin
            present_q <= '0;
        end else if (start || answer_valid) begin
            number_q <= start ? 2'd0 : number_q + 2'd1;
            bad_q <= !start && bad;
            new_present_q <= {answer[PTE_P], new_present_q[2:1]};
            new_frames_q <= {answer[51:12], new_frames_q[119:40]};
            if (done && !bad && `MUT(39, 1'b1, 1'b0)) begin
                present_q <= {answer[PTE_P], new_present_q};
                frames_q <= {answer[51:12], new_frames_q};
            end
        end
    end

    assign present = present_q[index];
    assign frame = frames_q[32'(index)*40 +: 40];
endmodule
`default_nettype wire
