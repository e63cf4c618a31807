// The page walker of 32-bit two-level paging (SDM volume 3, 4.3). It reads, then checks, then commits: a walk that
// faults writes nothing. Accessed and dirty are set by compare-and-exchange; if memory no longer holds what was read,
// the walk starts again with the PDE.
//
// An access is issued in the cycle that decides on it; its answer is registered, and evaluated in the cycle after it
// came. Latency L, 4 KB page, nothing to commit (L = 2 drawn):
//   cycle        t     t+1   t+2   t+3   t+4   t+5   t+6
//   start        _/---\_
//   mem_valid    _/---\_____________/---\_______________________
//   mem_pa        <PDE>              <PTE>
//   (answer)                 <pde>             <pte>
//   answer_valid                    /---\             /---\
//   state         IDLE  PDE               PTE               IDLE
//   done         _____________________________________/---\_       t + 2L + 2
// Each exchange adds L + 1. A 4 MB page or a fault at the PDE is done in t + L + 1.
`default_nettype none
`include "mmu_types.svh"

module walker (
    input logic clk,
    input logic rst_n,
    `MUT_PORT
    // the request; it stands still from start to done
    input logic start,
    input logic [VA_BITS-1:0] va,
    input mmu_type_t access_type,
    input mmu_mode_t mode,
    input paging_t paging,
    input logic [31:12] cr3_frame,
    input logic [7:0] pse36_reserved,  // which of PDE bits 20:13 lie beyond MAXPHYADDR
    // outcome, valid with done
    output logic busy,
    output logic done,
    output logic fault,
    output logic fault_present,        // error-code bit P
    output logic fault_reserved,       // error-code bit RSVD
    output logic leaf_found,
    output logic large_page,
    output logic [PA_BITS-1:12] frame,
    output rights_t rights,
    output logic [15:0] restarts,
    // memory: one access at a time, taken in the cycle it is offered
    output logic mem_valid,
    output logic mem_exchange,
    output logic [1:0] mem_level,      // 1 = PTE, 2 = PDE
    output logic [PA_BITS-1:0] mem_pa,
    output logic [ENTRY_BITS-1:0] mem_expected,
    output logic [ENTRY_BITS-1:0] mem_desired,
    input logic answer_valid,
    input logic [ENTRY_BITS-1:0] answer,
    // events
    output logic restart,
    output logic committed
);
    walker_state_t state_q, state_d;
    logic [ENTRY_BITS-1:0] pde_q, pde_d;      // as read
    logic [ENTRY_BITS-1:0] leaf_q, leaf_d;    // as read; the PDE itself for a large page
    logic large_page_q, large_page_d;
    logic [15:0] restarts_q, restarts_d;

    logic [ENTRY_BITS-1:0] upper, leaf, leaf_commit;
    logic is_write, answer_large, mismatch, reserved, rights_fault;
    logic check, commit_leaf, read_pde, read_pte, exchange_pde, exchange_leaf, finish, not_present;
    logic rw, us;

    // ---- the entries of the walk as an answer makes them known; nothing moves without an answer ----
    always_comb begin : entries
        is_write = access_type == TYPE_WRITE || access_type == TYPE_MODIFY;
        answer_large = 1'b0;
        large_page = large_page_q;
        upper = pde_q;
        leaf = leaf_q;
        leaf_commit = '0;
        reserved = 1'b0;
        rw = 1'b0;
        us = 1'b0;
        mismatch = 1'b0;
        if (answer_valid) begin
            answer_large = answer[PTE_PS] && `MUT(12, paging.pse, 1'b1);
            mismatch = answer != (state_q == W_PDE_A ? pde_q : leaf_q);
            if (state_q == W_PDE) begin
                upper = answer;
                large_page = answer_large;
            end
            if (state_q == W_PDE || state_q == W_PTE) begin
                leaf = answer;
            end
            leaf_commit = leaf;
            leaf_commit[PTE_A] = 1'b1;
            leaf_commit[PTE_D] = leaf[PTE_D] || is_write;
            reserved = large_page && `MUT(32, 1'b1, access_type != TYPE_FETCH) && (leaf[PDE_4M_RESERVED] ||
                (leaf[PDE_PSE36_LOW +: 8] & `MUT(11, pse36_reserved, 8'h00)) != 8'h00);
            rw = leaf[PTE_RW] && `MUT(20, upper[PTE_RW], 1'b1);
            us = leaf[PTE_US] && `MUT(20, upper[PTE_US], 1'b1);
        end
    end

    permission u_permission (
        `MUT_CONNECT .enable(answer_valid), .access_type(access_type), .mode(mode), .paging(paging), .rw(rw), .us(us),
        .fault(rights_fault));

    // ---- what the answer means ----
    always_comb begin : control
        check = 1'b0;
        commit_leaf = 1'b0;
        restart = 1'b0;
        read_pte = 1'b0;
        exchange_pde = 1'b0;
        exchange_leaf = 1'b0;
        finish = 1'b0;
        not_present = 1'b0;
        if (answer_valid) begin
            case (state_q)
                W_PDE: begin
                    not_present = !answer[PTE_P];
                    finish = `MUT(14, not_present, 1'b0);
                    check = answer[PTE_P] && answer_large;
                    read_pte = answer[PTE_P] && !answer_large;
                end
                W_PTE: begin
                    not_present = !answer[PTE_P];
                    finish = not_present;
                    check = answer[PTE_P];
                end
                W_PDE_A: begin
                    restart = `MUT(15, mismatch, 1'b0);
                    commit_leaf = !restart;
                end
                W_LEAF_AD: begin
                    restart = `MUT(16, mismatch, 1'b0);
                    finish = !restart;
                end
                default: ;
            endcase
            if (check) begin
                if (reserved || `MUT(17, rights_fault, 1'b0)) begin
                    finish = 1'b1;
                end else if (!large_page && `MUT(18, !upper[PTE_A], 1'b1)) begin
                    exchange_pde = 1'b1;
                end else begin
                    commit_leaf = 1'b1;
                end
            end
            if (commit_leaf) begin
                exchange_leaf = leaf_commit != leaf;
                finish = !exchange_leaf;
            end
        end
        read_pde = start || restart;
    end

    // ---- memory port ----
    always_comb begin : memory
        mem_valid = read_pde || read_pte || exchange_pde || exchange_leaf;
        mem_exchange = 1'b0;
        mem_level = 2'd0;
        mem_pa = '0;
        mem_expected = '0;
        mem_desired = '0;
        if (mem_valid) begin
            mem_exchange = exchange_pde || exchange_leaf;
            if (read_pte || (exchange_leaf && !large_page)) begin
                mem_level = 2'd1;
                mem_pa[31:0] = {upper[31:12], va[21:12], 2'b00};
            end else begin
                mem_level = 2'd2;
                mem_pa[31:0] = {cr3_frame, va[31:22], 2'b00};
            end
            if (exchange_pde) begin
                mem_expected = upper;
                mem_desired = upper;
                mem_desired[PTE_A] = 1'b1;
                mem_desired[PTE_D] = upper[PTE_D] || `MUT(19, 1'b0, is_write);
            end else if (exchange_leaf) begin
                mem_expected = leaf;
                mem_desired = leaf_commit;
            end
        end
    end

    always_comb begin : next_state
        state_d = state_q;
        pde_d = pde_q;
        leaf_d = leaf_q;
        large_page_d = large_page_q;
        restarts_d = restarts_q;
        if (answer_valid) begin
            pde_d = upper;
            leaf_d = leaf;
            large_page_d = large_page;
            restarts_d = restarts_q + {15'd0, restart};
        end
        if (start) begin
            restarts_d = '0;
        end
        if (finish) begin
            state_d = W_IDLE;
        end else if (read_pde) begin
            state_d = W_PDE;
        end else if (read_pte) begin
            state_d = W_PTE;
        end else if (exchange_pde) begin
            state_d = W_PDE_A;
        end else if (exchange_leaf) begin
            state_d = W_LEAF_AD;
        end
    end

    always_ff @(posedge clk) begin : registers
        if (!rst_n) begin
            state_q <= W_IDLE;
            pde_q <= '0;
            leaf_q <= '0;
            large_page_q <= 1'b0;
            restarts_q <= '0;
        end else begin
            state_q <= state_d;
            pde_q <= pde_d;
            leaf_q <= leaf_d;
            large_page_q <= large_page_d;
            restarts_q <= restarts_d;
        end
    end

    // ---- outcome ----
    always_comb begin : outcome
        busy = state_q != W_IDLE;
        done = finish;
        restarts = restarts_q;
        fault = 1'b0;
        fault_present = 1'b0;
        fault_reserved = 1'b0;
        leaf_found = 1'b0;
        frame = '0;
        rights = '0;
        committed = answer_valid && !mismatch && (state_q == W_PDE_A || state_q == W_LEAF_AD);
        if (finish) begin
            leaf_found = !not_present;
            fault_reserved = check && reserved;
            fault = not_present || fault_reserved || rights_fault;
            fault_present = `MUT(25, !not_present, 1'b1);
            frame = {8'h00, leaf[31:12]};
            if (large_page) begin
                frame = {`MUT(13, leaf[PDE_PSE36_LOW +: 8], 8'h00), leaf[31:22], 10'h000};
            end
            rights.g = (leaf[PTE_G] || `MUT(31, 1'b0, upper[PTE_G])) && `MUT(26, paging.pge, 1'b1);
            rights.d = `MUT(10, leaf_commit[PTE_D], is_write);
            rights.us = us;
            rights.rw = rw || (`MUT(27, 1'b0, !paging.wp) && mode != MODE_USER);
        end
    end

    always_ff @(posedge clk) begin : rules
        if (rst_n) begin
            assert (!(start && busy));
            assert (!(answer_valid && !busy));
            assert (!(done && mem_valid));
            // One access is under way from the cycle after its issue until its answer is evaluated.
            assert (!(mem_valid && busy && !answer_valid));
            // A walk that faults has written nothing: it never gets to a commit.
            assert (!(fault && (state_q == W_PDE_A || state_q == W_LEAF_AD)));
            // Only A and D ever change, and D never in an entry that points to a table.
            if (mem_exchange) begin
                assert ((mem_expected ^ mem_desired) != '0);
                assert (((mem_expected ^ mem_desired) & ~(32'd1 << PTE_A) & ~(32'd1 << PTE_D)) == '0);
                assert (mem_level == 2'd1 || large_page || mem_expected[PTE_D] == mem_desired[PTE_D]);
            end
            // The request stands still while it is walked.
            if ($past(rst_n) && busy) begin
                assert ($stable(va) && $stable(access_type) && $stable(mode) && $stable(paging));
            end
        end
    end
endmodule
`default_nettype wire
