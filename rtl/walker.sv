// The page walker of all modes (SDM volume 3, 4.3 to 4.5): one loop over levels. It reads, then checks, then commits: a
// walk that faults writes nothing. Accessed and dirty are set by compare-and-exchange, from the top; if memory no longer
// holds what was read, the walk starts again from the root.
//
// An access is issued in the cycle that decides on it; its answer is registered, and evaluated in the cycle after it
// came. Latency L, two levels, nothing to commit (L = 2 drawn):
//   cycle        t     t+1   t+2   t+3   t+4   t+5   t+6
//   start        _/---\_
//   mem_valid    _/---\_____________/---\_______________________
//   mem_pa        <PDE>              <PTE>
//   (answer)                 <pde>             <pte>
//   answer_valid                    /---\             /---\
//   state         IDLE  READ              READ              IDLE
//   level               2                 1
//   done         _____________________________________/---\_       t + 2L + 2
// Each level and each exchange adds L + 1. A PDPTE register that is not present is a fault in cycle t.
`default_nettype none
`include "mmu_types.svh"

module walker (
    input logic clk,
    input logic rst_n,
    `MUT_PORT
    // the request; it stands still from start to done
    input logic start,
    input logic [VA_MAX-1:0] va,
    input mmu_type_t access_type,
    input mmu_mode_t mode,
    input paging_t paging,
    input logic [CPU_FEATURES-1:0] features,
    input logic [51:32] beyond,          // physical address bits that the CPU does not have
    input logic [2:0] start_level,       // where it begins
    input logic [51:12] start_frame,
    input rights_t start_rights,
    input logic [2:0] root_level,        // where it starts again
    input logic [51:12] root_frame,
    input logic root_present,            // PAE: of the PDPTE register
    // outcome, valid with done
    output logic busy,
    output logic done,
    output logic fault,
    output logic fault_present,          // error-code bit P
    output logic fault_reserved,         // error-code bit RSVD
    output logic leaf_found,
    output logic [1:0] leaf_class,
    output entry_t leaf_entry,           // frame: of the 4 KB that hold the address
    output logic leaf_global,
    output logic [15:0] restarts,
    output logic [4:2] tables,           // upper levels read since the last start
    output logic [51:12] frame_2,        // what their entries point to, and the rights down to there
    output logic [51:12] frame_3,
    output logic [51:12] frame_4,
    output rights_t rights_2,
    output rights_t rights_3,
    output rights_t rights_4,
    // memory: one access at a time, taken in the cycle it is offered
    output logic mem_valid,
    output logic mem_exchange,
    output logic [2:0] mem_level,        // 1 = PTE … 4 = PML4E
    output logic [PA_MAX-1:0] mem_pa,
    output logic [63:0] mem_expected,
    output logic [63:0] mem_desired,
    input logic answer_valid,
    input logic [63:0] answer,
    // events
    output logic restart,
    output logic committed
);
    walker_state_t state_q, state_d;
    logic [2:0] level_q, level_d;        // of the access under way
    logic [2:0] top_q;                   // of the first read since the last start
    logic [2:0] leaf_level_q;
    logic [51:12] top_frame_q;           // table of the first read
    rights_t so_far_q;                   // rights above the level that is read
    logic [63:0] upper_2_q, upper_3_q, upper_4_q, leaf_q;   // as read
    rights_t rights_2_q, rights_3_q, rights_4_q;
    logic [4:2] unmarked_q;              // upper levels read that lack A
    logic [15:0] restarts_q;

    logic is_write, reading, mismatch, present, leaf, reserved, rights_fault, check;
    logic finish, read_next, commit, commit_leaf, exchange_upper, exchange_leaf, begin_read, at_once;
    logic [63:0] entry, expected, leaf_commit;
    logic [2:0] entry_level, leaf_level;
    logic [51:12] entry_frame, upper_frame;
    logic [2:0] memory;
    rights_t rights;
    logic [4:2] unmarked;

    // ---- the entry in question: the one just read, or while committing the leaf ----
    always_comb begin : entries
        is_write = access_type == TYPE_WRITE || access_type == TYPE_MODIFY;
        reading = state_q == W_READ;
        entry = '0;
        entry_level = level_q;
        present = 1'b0;
        mismatch = 1'b0;
        expected = '0;
        rights = '0;
        leaf_commit = '0;
        if (answer_valid) begin
            entry = answer;
            if (!reading) begin
                entry = leaf_q;
                entry_level = leaf_level_q;
            end
            present = entry[PTE_P];
            rights.rw = so_far_q.rw && entry[PTE_RW];
            rights.us = so_far_q.us && entry[PTE_US];
            rights.nx = so_far_q.nx || (entry[PTE_NX] && paging.pae);
            if (entry_level == 3'd1 && `MUT(20, 1'b0, 1'b1)) begin
                rights.rw = entry[PTE_RW];
                rights.us = entry[PTE_US];
            end
            case (level_q)
                3'd2: expected = upper_2_q;
                3'd3: expected = upper_3_q;
                default: expected = upper_4_q;
            endcase
            if (state_q == W_LEAF_AD) begin
                expected = leaf_q;
            end
            mismatch = !reading && answer != expected;
            leaf_commit = entry;
            leaf_commit[PTE_A] = 1'b1;
            leaf_commit[PTE_D] = entry[PTE_D] || is_write;
        end
    end

    entry_check u_check (
        `MUT_CONNECT .enable(answer_valid), .entry(entry), .level(entry_level), .paging(paging), .features(features),
        .is_fetch(access_type == TYPE_FETCH), .beyond(beyond), .leaf(leaf), .reserved(reserved), .frame(entry_frame),
        .memory(memory));

    permission u_permission (
        `MUT_CONNECT .enable(answer_valid && leaf), .access_type(access_type), .mode(mode), .paging(paging),
        .rights(rights), .fault(rights_fault));

    // ---- what the answer means; nothing moves without an answer ----
    always_comb begin : control
        finish = 1'b0;
        check = 1'b0;
        read_next = 1'b0;
        commit = 1'b0;
        commit_leaf = 1'b0;
        restart = 1'b0;
        exchange_upper = 1'b0;
        exchange_leaf = 1'b0;
        unmarked = unmarked_q;
        leaf_level = leaf_level_q;
        level_d = level_q;
        if (answer_valid) begin
            case (state_q)
                W_READ: begin
                    check = present;
                    leaf_level = level_q;
                    if (!present) begin
                        finish = `MUT(14, 1'b1, level_q == 3'd1);
                    end else if (reserved) begin
                        finish = 1'b1;
                    end else if (!leaf) begin
                        read_next = 1'b1;
                        level_d = level_q - 3'd1;
                    end else if (`MUT(17, rights_fault, 1'b0)) begin
                        finish = 1'b1;
                    end else begin
                        commit = 1'b1;
                    end
                end
                W_UPPER_A: begin
                    restart = `MUT(15, mismatch, 1'b0);
                    commit = !restart;
                    for (int l = 2; l <= 4; l++) begin  // an index from 2 would be a subtraction
                        if (level_q == 3'(l)) unmarked[l] = 1'b0;
                    end
                end
                W_LEAF_AD: begin
                    restart = `MUT(16, mismatch, 1'b0);
                    finish = !restart;
`ifdef MUTATE
                    if (mut_sel == 83 && mismatch) begin
                        restart = 1'b0;
                        finish = 1'b0;
                        exchange_leaf = 1'b1;
                    end
`endif
                end
                default: ;
            endcase
            if (commit) begin
                commit_leaf = unmarked == '0;
                exchange_upper = !commit_leaf;
                level_d = unmarked[4] ? 3'd4 : unmarked[3] ? 3'd3 : 3'd2;
            end
            if (commit_leaf) begin
                exchange_leaf = leaf_commit != entry || `MUT(85, 1'b0, 1'b1);
                finish = !exchange_leaf;
                level_d = leaf_level;
            end
        end
        at_once = start && start_level == root_level && !root_present;
        begin_read = (start && !at_once) || restart;
        if (start) begin
            level_d = start_level;
        end else if (restart) begin
            level_d = root_level;
        end
    end

    // ---- memory port ----
    always_comb begin : memory_port
        mem_valid = begin_read || read_next || exchange_upper || exchange_leaf;
        mem_exchange = 1'b0;
        mem_level = 3'd0;
        mem_expected = '0;
        mem_desired = '0;
        upper_frame = '0;
        if (mem_valid) begin
            mem_exchange = exchange_upper || exchange_leaf;
            mem_level = level_d;
            // the table that the entry stands in
            if (start) begin
                upper_frame = start_frame;
            end else if (restart) begin
                upper_frame = root_frame;
            end else if (read_next) begin
                upper_frame = entry_frame;
            end else if (level_d == top_q) begin
                upper_frame = top_frame_q;
            end else begin
                case (level_d)
                    3'd1: upper_frame = upper_2_q[51:12];
                    3'd2: upper_frame = upper_3_q[51:12];
                    default: upper_frame = upper_4_q[51:12];
                endcase
                if (!paging.pae) begin
                    upper_frame[51:32] = '0;
                end
            end
            if (exchange_upper) begin
                case (level_d)
                    3'd2: mem_expected = upper_2_q;
                    3'd3: mem_expected = upper_3_q;
                    default: mem_expected = upper_4_q;
                endcase
                mem_desired = mem_expected;
                mem_desired[PTE_A] = 1'b1;
                mem_desired[PTE_D] = mem_expected[PTE_D] || `MUT(19, 1'b0, is_write);
            end else if (exchange_leaf) begin
                mem_expected = `MUT(83, entry, mismatch ? answer : entry);
                mem_desired = leaf_commit;
            end
        end
    end

    table_address u_address (
        .enable(mem_valid), .level(level_d), .frame(upper_frame), .va(va), .pae(paging.pae), .pa(mem_pa));

    always_comb begin : next_state
        state_d = state_q;
        if (finish) begin
            state_d = W_IDLE;
        end else if (begin_read || read_next) begin
            state_d = W_READ;
        end else if (exchange_upper) begin
            state_d = W_UPPER_A;
        end else if (exchange_leaf) begin
            state_d = W_LEAF_AD;
        end
    end

    always_ff @(posedge clk) begin : registers
        if (!rst_n) begin
            state_q <= W_IDLE;
        end else if (start || answer_valid) begin
            state_q <= state_d;
            level_q <= level_d;
            unmarked_q <= unmarked;
            if (start || restart) begin
                top_q <= level_d;
                top_frame_q <= upper_frame;
                unmarked_q <= `MUT(77, 3'b000, unmarked_q);
                so_far_q <= 3'b011;
                restarts_q <= restarts_q + 16'd1;
                if (start) begin
                    so_far_q <= start_rights;
                    restarts_q <= '0;
                end
            end else if (read_next) begin
                so_far_q <= rights;
                if (level_q == 3'd2) begin
                    unmarked_q[2] <= `MUT(18, !entry[PTE_A], 1'b1) && `MUT(86, 1'b1, 1'b0);
                    upper_2_q <= answer;
                    rights_2_q <= rights;
                end else if (level_q == 3'd3 && paging.lma) begin
                    unmarked_q[3] <= `MUT(18, !entry[PTE_A], 1'b1) && `MUT(86, 1'b1, 1'b0);
                    upper_3_q <= answer;
                    rights_3_q <= rights;
                end else if (paging.lma) begin
                    unmarked_q[4] <= `MUT(18, !entry[PTE_A], 1'b1) && `MUT(86, 1'b1, 1'b0);
                    upper_4_q <= answer;
                    rights_4_q <= rights;
                end
            end else if (reading) begin
                leaf_q <= answer;
                leaf_level_q <= level_q;
            end
        end
    end

    // ---- outcome ----
    always_comb begin : outcome
        busy = state_q != W_IDLE;
        done = finish || at_once;
        restarts = at_once ? 16'd0 : restarts_q;
        fault = at_once;
        fault_present = `MUT(25, 1'b0, at_once);
        fault_reserved = 1'b0;
        leaf_found = 1'b0;
        leaf_class = 2'd0;
        leaf_entry = '0;
        leaf_global = 1'b0;
        tables = '0;
        committed = answer_valid && !reading && !mismatch;
        if (finish) begin
            leaf_found = present && leaf;
            fault_reserved = check && reserved;
            fault = !present || fault_reserved || rights_fault;
            fault_present = `MUT(25, present, 1'b1);
            leaf_class = leaf_level == 3'd1 ? 2'd0 : leaf_level == 3'd2 ? 2'd1 : 2'd2;
            // below the page's size the frame has zeros
            leaf_entry.frame = entry_frame;
            if (leaf_class != 2'd0) begin
                leaf_entry.frame[8:0] = va[20:12];
                if (leaf_class == 2'd2) begin
                    leaf_entry.frame[17:9] = va[29:21];
                end else if (!paging.pae) begin
                    leaf_entry.frame[9] = va[21];
                end
            end
            leaf_entry.memory = memory;
            leaf_entry.d = `MUT(10, leaf_commit[PTE_D], is_write);
            leaf_entry.nx = rights.nx;
            leaf_entry.us = rights.us;
            leaf_entry.rw = rights.rw || (`MUT(27, 1'b0, !paging.wp) && mode != MODE_USER);
            leaf_global = (entry[PTE_G] || `MUT(31, 1'b0, top_q >= 3'd2 && leaf_level == 3'd1 && upper_2_q[PTE_G])) &&
                `MUT(26, paging.pge, 1'b1);
            for (int l = 2; l <= 4; l++) begin
                tables[l] = 3'(l) > leaf_level && 3'(l) <= top_q;
            end
        end
    end
    assign frame_2 = paging.pae ? upper_2_q[51:12] : {20'd0, upper_2_q[31:12]};
    assign frame_3 = upper_3_q[51:12];
    assign frame_4 = upper_4_q[51:12];
    assign rights_2 = rights_2_q;
    assign rights_3 = rights_3_q;
    assign rights_4 = rights_4_q;

    always_ff @(posedge clk) begin : rules
        if (rst_n) begin
            assert (!(start && busy));
            assert (!(answer_valid && !busy));
            assert (!(done && mem_valid));
            // One access is under way from the cycle after its issue until its answer is evaluated.
            assert (!(mem_valid && busy && !answer_valid));
            // A walk that faults has written nothing: it never gets to a commit.
            assert (!(fault && (state_q == W_UPPER_A || state_q == W_LEAF_AD)));
            // Only A and D ever change, and D never in an entry that points to a table.
            if (mem_exchange) begin
                assert ((mem_expected ^ mem_desired) != '0);
                assert (((mem_expected ^ mem_desired) & ~(64'd1 << PTE_A) & ~(64'd1 << PTE_D)) == '0);
                assert (!exchange_upper || mem_expected[PTE_D] == mem_desired[PTE_D]);
            end
            // The request stands still while it is walked.
            if ($past(rst_n) && busy) begin
                assert ($stable(va) && $stable(access_type) && $stable(mode) && $stable(paging));
            end
        end
    end
endmodule
`default_nettype wire
