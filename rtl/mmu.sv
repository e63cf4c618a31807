// The MMU: request register, four TLB arrays looked up at once, page walker, control registers, counters. Flat ports;
// rtl/README.md has the table of every latency.
//
// Two hits, then a miss (memory latency 1, 4 MB page), then a request that waits for it:
//   cycle        t-1   t     t+1   t+2   t+3   t+4   t+5
//   req_valid    _/-----------------------------\________
//   req          < A  >< B  >< C  ><      D     >
//   req_ready    -----------------\___________/--------
//   (request register)  A     B     C     C     C     D
//   rsp_valid    _____/-----------\___________/--------
//   rsp                <pa A><pa B>            <pa C><pa D>
//   mem_valid    _________________/---\________________
// A request is taken at the end of a cycle with req_valid and req_ready, and looked up in the next cycle. A hit
// answers there; a miss issues its first memory read there.
`default_nettype none
`include "mmu_types.svh"

module mmu #(
    parameter int ITLB_4K_SETS = 16,
    parameter int ITLB_4K_WAYS = 4,
    parameter int ITLB_4M_SETS = 2,
    parameter int ITLB_4M_WAYS = 4,
    parameter int DTLB_4K_SETS = 16,
    parameter int DTLB_4K_WAYS = 4,
    parameter int DTLB_4M_SETS = 2,
    parameter int DTLB_4M_WAYS = 4,
    parameter int REPLACEMENT = 0      // 0 = true LRU, 1 = tree pseudo-LRU
) (
    input logic clk,
    input logic rst_n,                 // synchronous; the straps are taken while it is low
`ifdef MUTATE
    input logic [31:0] mutant,         // strap: which hand-made bug is alive, 0 = none
`endif
    input logic [5:0] maxphyaddr,      // strap: 32..40
    // request: an access, a control-register write or INVLPG
    input logic req_valid,
    output logic req_ready,
    input mmu_op_t req_op,
    input mmu_type_t req_type,
    input mmu_mode_t req_mode,
    input logic [VA_BITS-1:0] req_va,
    input logic [63:0] req_value,
    // response
    output logic rsp_valid,
    output logic [3:0] rsp_vector,     // 0, 13 = #GP, 14 = #PF
    output logic [4:0] rsp_error,      // P, W, U, RSVD, I (SDM 4.7)
    output logic [VA_BITS-1:0] rsp_cr2,
    output logic [PA_BITS-1:0] rsp_pa,
    output mmu_hit_t rsp_hit,
    output logic [4:0] rsp_page_shift, // 12, 22; 0 if no leaf was found
    output logic [15:0] rsp_restarts,
    // memory: read or compare-and-exchange of one entry, taken when offered, answered one or more cycles later
    output logic mem_valid,
    output logic mem_exchange,
    output logic [1:0] mem_level,
    output logic [PA_BITS-1:0] mem_pa,
    output logic [ENTRY_BITS-1:0] mem_expected,
    output logic [ENTRY_BITS-1:0] mem_desired,
    input logic mem_rsp_valid,
    input logic [ENTRY_BITS-1:0] mem_rsp_data,
    // control registers
    output logic [63:0] cr0,
    output logic [63:0] cr3,
    output logic [63:0] cr4,
    output logic [63:0] efer,
    output logic eflags_ac,
    // debug: one TLB entry and one counter, in the cycle after debug_read
    input logic debug_hold,
    input logic debug_read,
    input logic [1:0] debug_tlb,       // {data side, large pages}
    input logic [9:0] debug_set,
    input logic [5:0] debug_way,
    input logic [4:0] debug_counter,
    output logic debug_valid,
    output logic [VA_BITS-1:0] debug_va,
    output logic [PA_BITS-1:0] debug_pa,
    output rights_t debug_rights,
    output logic [63:0] debug_count
);
    // ---- straps and registers ----
    logic [7:0] pse36_reserved_q;
    logic op_valid_q;
    mmu_op_t op_q;
    mmu_type_t type_q;
    mmu_mode_t mode_q;
    logic [VA_BITS-1:0] va_q;
    logic [63:0] value_q;
    logic answer_valid_q;
    logic [ENTRY_BITS-1:0] answer_q;
    logic dirty_walk_q;
`ifdef MUTATE
    logic [31:0] mut_sel;
    always_ff @(posedge clk) begin : mutant_strap
        if (!rst_n) begin
            mut_sel <= mutant;
        end
    end
`endif

    logic is_access, is_control, is_invlpg, is_write, instruction;
    logic lookup, lookup_instruction, lookup_data;
    logic hit_i4k, hit_i4m, hit_d4k, hit_d4m, hit_4k, hit, served, hit_fault, dirty_miss;
    logic [PA_BITS-1:SHIFT_4K] frame_i4k, frame_d4k, frame_4k;
    logic [PA_BITS-1:SHIFT_4M] frame_i4m, frame_d4m, frame_4m;
    rights_t rights_i4k, rights_i4m, rights_d4k, rights_d4m;
    /* verilator lint_off UNUSEDSIGNAL */
    rights_t rights;  // G matters to a flush, not to an access
    /* verilator lint_on UNUSEDSIGNAL */
    logic rights_fault;

    logic walk_start, walk_busy, walk_done, walk_fault, walk_present, walk_reserved, walk_leaf, walk_large, walk_ok;
    logic walk_restart, walk_committed, fill;
    logic [PA_BITS-1:12] walk_frame;
    rights_t walk_rights;

    paging_t paging;
    logic [31:12] cr3_frame;
    logic gp, cr3_written, flush_nonglobal, flush_all, flush_large, page_fault, drop;
    logic drop_data, drop_instruction, drop_large;
    logic array_large;
    logic debug_read_q;
    logic [1:0] debug_tlb_q;
    logic [9:0] debug_set_q;
    logic [5:0] debug_way_q;
    logic [4:0] debug_counter_q;
    logic debug_valid_i4k, debug_valid_i4m, debug_valid_d4k, debug_valid_d4m;
    logic [VA_BITS-1:0] debug_va_i4k, debug_va_i4m, debug_va_d4k, debug_va_d4m;
    logic [PA_BITS-1:0] debug_pa_i4k, debug_pa_i4m, debug_pa_d4k, debug_pa_d4m;
    rights_t debug_rights_i4k, debug_rights_i4m, debug_rights_d4k, debug_rights_d4m;

    always_ff @(posedge clk) begin : request_register
        if (!rst_n) begin
            op_valid_q <= 1'b0;
        end else if (req_ready) begin
            op_valid_q <= req_valid;
        end
        if (req_ready && req_valid) begin
            op_q <= req_op;
            type_q <= req_type;
            mode_q <= req_mode;
            va_q <= req_va;
            if (req_op != OP_ACCESS) begin
                value_q <= req_value;
            end
        end
    end

    always_ff @(posedge clk) begin : answer_register
        answer_valid_q <= rst_n && mem_rsp_valid;
        if (mem_rsp_valid) begin
            answer_q <= mem_rsp_data;
        end
        if (walk_start) begin
            dirty_walk_q <= dirty_miss;
        end
        if (!rst_n) begin
            for (int i = 0; i < 8; i++) begin
                pse36_reserved_q[i] <= maxphyaddr <= 6'd32 + 6'(i);
            end
        end
    end

    // ---- lookup ----
    always_comb begin : decode
        is_access = op_valid_q && op_q == OP_ACCESS;
        is_invlpg = op_valid_q && op_q == OP_INVLPG;
        is_control = op_valid_q && op_q != OP_ACCESS && op_q != OP_INVLPG;
        is_write = type_q == TYPE_WRITE || type_q == TYPE_MODIFY;
        instruction = type_q == TYPE_FETCH;
        lookup = is_access && paging.pg && !walk_busy;
        lookup_instruction = is_access && paging.pg && instruction;
        lookup_data = is_access && paging.pg && !instruction;
    end

    always_comb begin : select
        // The side that is not asked answers zeros. If both sizes match, the 4 KB entry serves.
        hit_4k = hit_i4k || hit_d4k;
        hit = hit_4k || hit_i4m || hit_d4m;
        frame_4k = frame_i4k | frame_d4k;
        frame_4m = frame_i4m | frame_d4m;
        rights = hit_4k ? (rights_i4k | rights_d4k) : (rights_i4m | rights_d4m);
    end

    permission u_permission (
        `MUT_CONNECT .enable(hit), .access_type(type_q), .mode(mode_q), .paging(paging), .rw(rights.rw), .us(rights.us),
        .fault(rights_fault));

    always_comb begin : judge
        dirty_miss = hit && !rights_fault && is_write && `MUT(9, !rights.d, 1'b0);
        hit_fault = lookup && hit && rights_fault;
        served = lookup && hit && !rights_fault && !dirty_miss;
        walk_start = lookup && (!hit || dirty_miss);
        walk_ok = walk_done && !walk_fault;
        fill = walk_ok || (walk_done && `MUT(28, 1'b0, walk_leaf));
        page_fault = hit_fault || (walk_done && walk_fault);
    end

    // ---- invalidation ----
    always_comb begin : invalidate
        drop = is_invlpg || (page_fault && `MUT(4, 1'b1, 1'b0));
        drop_data = drop || (fill && !instruction && walk_large);
        drop_instruction = (drop && `MUT(29, 1'b1, !is_invlpg)) || (fill && instruction && walk_large);
        drop_large = drop && `MUT(5, 1'b1, !is_invlpg || va_q[SHIFT_4M-1:SHIFT_4K] == '0);
        flush_large = flush_all && `MUT(8, 1'b1, 1'b0);
    end

    tlb #(.SETS(ITLB_4K_SETS), .WAYS(ITLB_4K_WAYS), .PAGE_SHIFT(SHIFT_4K), .REPLACEMENT(REPLACEMENT)) u_itlb_4k (
        .clk(clk), .rst_n(rst_n), `MUT_CONNECT .va(va_q[VA_BITS-1:SHIFT_4K]),
        .enable(lookup_instruction), .hit(hit_i4k), .hit_frame(frame_i4k), .hit_rights(rights_i4k),
        .touch(served && instruction && hit_4k),
        .fill(fill && instruction && !walk_large), .fill_frame(walk_frame), .fill_rights(walk_rights),
        .drop(drop_instruction), .flush_all(flush_all), .flush_nonglobal(flush_nonglobal),
        .debug_select(debug_read_q && debug_tlb_q == 2'd0), .debug_set(debug_set_q), .debug_way(debug_way_q),
        .debug_valid(debug_valid_i4k), .debug_va(debug_va_i4k), .debug_pa(debug_pa_i4k),
        .debug_rights(debug_rights_i4k));

    tlb #(.SETS(ITLB_4M_SETS), .WAYS(ITLB_4M_WAYS), .PAGE_SHIFT(SHIFT_4M), .REPLACEMENT(REPLACEMENT)) u_itlb_4m (
        .clk(clk), .rst_n(rst_n), `MUT_CONNECT .va(va_q[VA_BITS-1:SHIFT_4M]),
        .enable(lookup_instruction), .hit(hit_i4m), .hit_frame(frame_i4m), .hit_rights(rights_i4m),
        .touch(served && instruction && !hit_4k),
        .fill(fill && instruction && walk_large), .fill_frame(walk_frame[PA_BITS-1:SHIFT_4M]),
        .fill_rights(walk_rights),
        .drop(drop_large || (fill && instruction && !walk_large)), .flush_all(flush_large),
        .flush_nonglobal(flush_nonglobal),
        .debug_select(debug_read_q && debug_tlb_q == 2'd1), .debug_set(debug_set_q), .debug_way(debug_way_q),
        .debug_valid(debug_valid_i4m), .debug_va(debug_va_i4m), .debug_pa(debug_pa_i4m),
        .debug_rights(debug_rights_i4m));

    tlb #(.SETS(DTLB_4K_SETS), .WAYS(DTLB_4K_WAYS), .PAGE_SHIFT(SHIFT_4K), .REPLACEMENT(REPLACEMENT)) u_dtlb_4k (
        .clk(clk), .rst_n(rst_n), `MUT_CONNECT .va(va_q[VA_BITS-1:SHIFT_4K]),
        .enable(lookup_data), .hit(hit_d4k), .hit_frame(frame_d4k), .hit_rights(rights_d4k),
        .touch(served && !instruction && hit_4k),
        .fill(fill && !instruction && !walk_large), .fill_frame(walk_frame), .fill_rights(walk_rights),
        .drop(drop_data), .flush_all(flush_all), .flush_nonglobal(flush_nonglobal),
        .debug_select(debug_read_q && debug_tlb_q == 2'd2), .debug_set(debug_set_q), .debug_way(debug_way_q),
        .debug_valid(debug_valid_d4k), .debug_va(debug_va_d4k), .debug_pa(debug_pa_d4k),
        .debug_rights(debug_rights_d4k));

    tlb #(.SETS(DTLB_4M_SETS), .WAYS(DTLB_4M_WAYS), .PAGE_SHIFT(SHIFT_4M), .REPLACEMENT(REPLACEMENT)) u_dtlb_4m (
        .clk(clk), .rst_n(rst_n), `MUT_CONNECT .va(va_q[VA_BITS-1:SHIFT_4M]),
        .enable(lookup_data), .hit(hit_d4m), .hit_frame(frame_d4m), .hit_rights(rights_d4m),
        .touch(served && !instruction && !hit_4k),
        .fill(fill && !instruction && walk_large), .fill_frame(walk_frame[PA_BITS-1:SHIFT_4M]),
        .fill_rights(walk_rights),
        .drop(drop_large || (fill && !instruction && !walk_large)), .flush_all(flush_large),
        .flush_nonglobal(flush_nonglobal),
        .debug_select(debug_read_q && debug_tlb_q == 2'd3), .debug_set(debug_set_q), .debug_way(debug_way_q),
        .debug_valid(debug_valid_d4m), .debug_va(debug_va_d4m), .debug_pa(debug_pa_d4m),
        .debug_rights(debug_rights_d4m));

    // ---- walk ----
    walker u_walker (
        .clk(clk), .rst_n(rst_n), `MUT_CONNECT .start(walk_start), .va(va_q), .access_type(type_q), .mode(mode_q),
        .paging(paging), .cr3_frame(cr3_frame), .pse36_reserved(pse36_reserved_q), .busy(walk_busy), .done(walk_done),
        .fault(walk_fault), .fault_present(walk_present), .fault_reserved(walk_reserved), .leaf_found(walk_leaf),
        .large_page(walk_large), .frame(walk_frame), .rights(walk_rights), .restarts(rsp_restarts), .mem_valid(mem_valid),
        .mem_exchange(mem_exchange), .mem_level(mem_level), .mem_pa(mem_pa), .mem_expected(mem_expected),
        .mem_desired(mem_desired), .answer_valid(answer_valid_q), .answer(answer_q), .restart(walk_restart),
        .committed(walk_committed));

    control_registers u_control (
        .clk(clk), .rst_n(rst_n), `MUT_CONNECT .write(is_control), .op(op_q), .value(value_q), .gp(gp),
        .cr3_written(cr3_written), .flush_nonglobal(flush_nonglobal), .flush_all(flush_all), .paging(paging),
        .cr3_frame(cr3_frame), .cr0(cr0), .cr3(cr3), .cr4(cr4), .efer(efer));
    assign eflags_ac = paging.ac;

    // ---- response ----
    always_comb begin : respond
        rsp_valid = op_valid_q && (!is_access || !paging.pg || served || hit_fault || walk_done);
        req_ready = !op_valid_q || rsp_valid;
        rsp_vector = VECTOR_NONE;
        rsp_error = '0;
        if (gp) begin
            rsp_vector = VECTOR_GP;
        end else if (page_fault) begin
            rsp_vector = VECTOR_PF;
            rsp_error[0] = hit_fault || walk_present;
            rsp_error[1] = is_write;
            rsp_error[2] = mode_q == MODE_USER;
            rsp_error[3] = walk_done && walk_reserved;
            rsp_error[4] = instruction && paging.smep;
        end
        rsp_cr2 = va_q;
        rsp_hit = HIT_OFF;
        rsp_page_shift = 5'd0;
        rsp_pa = {8'h00, va_q};
        if (walk_busy) begin
            rsp_hit = HIT_WALK;
            if (dirty_walk_q) begin
                rsp_hit = HIT_DIRTY;
            end
            if (walk_leaf) begin
                rsp_page_shift = walk_large ? 5'd22 : 5'd12;
                rsp_pa = walk_large ? {walk_frame[PA_BITS-1:SHIFT_4M], va_q[SHIFT_4M-1:0]}
                                    : {walk_frame, va_q[SHIFT_4K-1:0]};
            end
        end else if (hit_4k) begin
            rsp_hit = HIT_L1;
            rsp_page_shift = 5'd12;
            rsp_pa = {frame_4k, va_q[SHIFT_4K-1:0]};
        end else if (hit) begin
            rsp_hit = HIT_L1;
            rsp_page_shift = 5'd22;
            rsp_pa = {frame_4m, va_q[SHIFT_4M-1:0]};
        end
    end

    counters u_counters (
        .clk(clk), .rst_n(rst_n), .access_done(rsp_valid && is_access && paging.pg), .instruction(instruction),
        .hit(rsp_hit), .leaf_found(walk_leaf), .large_page(array_large), .fault(page_fault), .fault_drop(drop),
        .walk_start(walk_start), .walk_dirty(dirty_miss), .walk_busy(walk_busy), .walk_restart(walk_restart),
        .table_read(mem_valid && !mem_exchange), .table_write(walk_committed), .invlpg(is_invlpg),
        .cr3_write(cr3_written), .flush_all(flush_all), .debug_hold(debug_hold), .debug_read(debug_read_q),
        .debug_counter(debug_counter_q), .debug_count(debug_count));
    assign array_large = walk_busy ? walk_large : !hit_4k;

    // ---- debug port: asked in one cycle, answers in the next; only the array that is read gives anything but 0 ----
    always_ff @(posedge clk) begin : debug_register
        debug_read_q <= debug_read;
        if (debug_read) begin
            debug_tlb_q <= debug_tlb;
            debug_set_q <= debug_set;
            debug_way_q <= debug_way;
            debug_counter_q <= debug_counter;
        end
    end

    always_comb begin : debug_answer
        debug_valid = 1'b0;
        debug_va = '0;
        debug_pa = '0;
        debug_rights = '0;
        if (debug_read_q) begin
            debug_valid = debug_valid_i4k | debug_valid_i4m | debug_valid_d4k | debug_valid_d4m;
            debug_va = debug_va_i4k | debug_va_i4m | debug_va_d4k | debug_va_d4m;
            debug_pa = debug_pa_i4k | debug_pa_i4m | debug_pa_d4k | debug_pa_d4m;
            debug_rights = debug_rights_i4k | debug_rights_i4m | debug_rights_d4k | debug_rights_d4m;
        end
    end

    always_ff @(posedge clk) begin : rules
        if (rst_n && $past(rst_n)) begin
            // A response ends exactly one request; a request that waits stands still.
            assert (!rsp_valid || op_valid_q);
            if ($past(op_valid_q) && !$past(rsp_valid)) begin
                assert (op_valid_q && $stable(va_q) && $stable(op_q));
            end
            // Memory answers only what was asked, and a walk asks only for the request in the register.
            assert (!mem_valid || lookup || walk_busy);
            // Nothing is filled by a fault, and a fault is answered at once.
            assert (!(fill && page_fault));
            assert (!page_fault || (rsp_valid && rsp_vector == VECTOR_PF));
            // A hit costs no memory access.
            assert (!(served && mem_valid));
            // An entry just dropped by INVLPG or #PF is gone on both sides.
            if ($past(drop) && va_q == $past(va_q)) begin
                assert (!hit_i4k && !hit_i4m && !hit_d4k && !hit_d4m);
            end
        end
    end
endmodule
`default_nettype wire
