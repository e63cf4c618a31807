// What must have happened at least once before anybody says that rtl/ is tested: situations that go wrong in real MMUs,
// and the corners of ours. Bound into the MMU in builds for coverage (tb/build_preset.sh --cover, `make cover`); the only
// tool that reads it is Verilator. A name is what the report calls it.
`default_nettype none
`include "mmu_types.svh"

module cover_points (
    input logic clk,
    input logic rst_n
);
    logic walking, faulted, was_acts, was_fault, write, same_page_waits, ahead_reads;
    logic [47:12] fault_page, filled_page;
    logic filled_large, filled_small;

    always_comb begin : short
        walking = mmu.u_head.state_q == H_WALK;
        write = mmu.head_type == TYPE_WRITE || mmu.head_type == TYPE_MODIFY;
        faulted = mmu.page_fault;
    end

    always_ff @(posedge clk) begin : history
        was_acts <= mmu.acts;
        was_fault <= faulted;
        ahead_reads <= mmu.ahead_taken || (ahead_reads && !(mmu.mem_rsp_valid && mmu.mem_rsp_id != 2'd0));
        if (faulted) begin
            fault_page <= mmu.va[47:12];
        end
        if (mmu.fill) begin
            filled_page <= mmu.va[47:12];
            filled_large <= mmu.walk_class == 2'd1;
            filled_small <= mmu.walk_class == 2'd0;
        end
        same_page_waits <= mmu.req_valid && mmu.req_ready && walking && mmu.req_op == OP_ACCESS &&
            mmu.req_value[47:12] == mmu.head_value[47:12];
    end

    // ---- invalidation ----
    invlpg_during_walk: cover property (@(posedge clk) mmu.invlpg && walking);
    invlpg_of_the_page_that_is_walked: cover property (@(posedge clk) mmu.invlpg && walking && mmu.inv_va_used[47:12] == mmu.walk_va[47:12]);
    invlpg_during_second_level_probe: cover property (@(posedge clk) mmu.invlpg && mmu.u_head.state_q == H_PROBE);
    invlpg_when_an_answer_arrives: cover property (@(posedge clk) mmu.acts && mmu.u_memory_port.answer_valid_q);
    invalidations_back_to_back: cover property (@(posedge clk) mmu.acts && was_acts);
    invpcid_during_walk: cover property (@(posedge clk) mmu.invpcid && walking);
    invlpg_not_canonical: cover property (@(posedge clk) mmu.invlpg && mmu.drop == DROP_NONE);
    invpcid_refused: cover property (@(posedge clk) mmu.inv_done && mmu.inv_vector == VECTOR_GP);
    invpcid_missing: cover property (@(posedge clk) mmu.inv_done && mmu.inv_vector == VECTOR_UD);
    poisoned_walk_fills_nothing: cover property (@(posedge clk) mmu.walk_done && !mmu.walk_fault && !mmu.fill);
    drop_page: cover property (@(posedge clk) mmu.drop == DROP_PAGE);
    drop_page_local: cover property (@(posedge clk) mmu.drop == DROP_PAGE_LOCAL);
    drop_fault: cover property (@(posedge clk) mmu.drop == DROP_FAULT);
    drop_context: cover property (@(posedge clk) mmu.drop == DROP_CONTEXT);
    drop_nonglobal: cover property (@(posedge clk) mmu.drop == DROP_NONGLOBAL);
    drop_all: cover property (@(posedge clk) mmu.drop == DROP_ALL);

    // ---- look-up ----
    hit_4k: cover property (@(posedge clk) mmu.l1_touch && mmu.l1_class == 2'd0);
    hit_large: cover property (@(posedge clk) mmu.l1_touch && mmu.l1_class == 2'd1);
    hit_1g: cover property (@(posedge clk) mmu.l1_touch && mmu.l1_class == 2'd2);
    second_level_hit: cover property (@(posedge clk) mmu.l2_touch);
    second_level_hit_of_a_denied_page: cover property (@(posedge clk) mmu.l2_ended && mmu.l2_found && faulted);
    second_level_hit_that_must_set_dirty: cover property (@(posedge clk) mmu.l2_ended && mmu.l2_found && mmu.walk_dirty);
    first_level_hit_that_must_set_dirty: cover property (@(posedge clk) mmu.look && mmu.l1_hit && mmu.walk_dirty);
    stale_denial_walks_again: cover property (@(posedge clk) was_fault && mmu.walk_start && mmu.va[47:12] == fault_page);
    large_page_beside_its_4k_alias: cover property (@(posedge clk) mmu.fill && mmu.walk_class == 2'd0 && filled_large &&
        mmu.va[47:21] == filled_page[47:21]);
    small_page_replaced_by_a_large_one: cover property (@(posedge clk) mmu.fill && mmu.walk_class == 2'd1 && filled_small &&
        mmu.va[47:21] == filled_page[47:21]);
    fragment_of_a_large_page: cover property (@(posedge clk) mmu.l1_fill && mmu.l2_ended && mmu.l2_class != 2'd0);

    // ---- walk ----
    walk_of_one_read: cover property (@(posedge clk) mmu.walk_start && mmu.from_level == 3'd2);
    walk_from_a_pdpte_entry: cover property (@(posedge clk) mmu.walk_start && mmu.from_level == 3'd3);
    walk_from_a_pml4e_entry: cover property (@(posedge clk) mmu.walk_start && mmu.from_level == 3'd4);
    walk_from_the_second_level_pde: cover property (@(posedge clk) mmu.walk_start && mmu.from_second);
    pdpte_register_not_present: cover property (@(posedge clk) mmu.walk_start && mmu.walk_done);
    restart_at_an_upper_entry: cover property (@(posedge clk) mmu.walk_restart && mmu.u_walk.u_walker.state_q == W_UPPER_A);
    restart_at_the_leaf: cover property (@(posedge clk) mmu.walk_restart && mmu.u_walk.u_walker.state_q == W_LEAF_AD);
    two_restarts: cover property (@(posedge clk) mmu.walk_done && mmu.rsp_restarts >= 16'd2);
    fault_after_a_restart: cover property (@(posedge clk) mmu.walk_done && mmu.walk_fault && mmu.rsp_restarts != '0);
    accessed_set_in_an_upper_entry: cover property (@(posedge clk) mmu.walk_committed && mmu.u_walk.u_walker.state_q == W_UPPER_A);
    dirty_set_with_accessed: cover property (@(posedge clk) mmu.mem_valid && mmu.mem_exchange && mmu.mem_level == 3'd1 &&
        !mmu.mem_expected[PTE_A] && mmu.mem_desired[PTE_D]);
    request_for_the_page_that_is_walked: cover property (@(posedge clk) same_page_waits);
    queue_full: cover property (@(posedge clk) mmu.req_valid && !mmu.req_ready);

    // ---- several walkers ----
    walk_ahead: cover property (@(posedge clk) mmu.ahead_taken);
    read_ahead_is_used: cover property (@(posedge clk) mmu.early_stored);
    read_ahead_is_awaited: cover property (@(posedge clk) mmu.early_waits);
    invlpg_during_a_walk_ahead: cover property (@(posedge clk) mmu.invlpg && ahead_reads);
    exchange_while_a_walk_ahead_wants_the_port: cover property (@(posedge clk) mmu.walk_mem && mmu.mem_exchange && mmu.ahead_valid);

    // ---- faults ----
    fault_not_present: cover property (@(posedge clk) faulted && !mmu.rsp_error[0]);
    fault_reserved_bit: cover property (@(posedge clk) faulted && mmu.rsp_error[3]);
    fault_of_rights_in_a_walk: cover property (@(posedge clk) faulted && mmu.walk_done && mmu.rsp_error[3:0] == 4'b0111);
    fault_of_rights_in_a_hit: cover property (@(posedge clk) faulted && !mmu.walk_done);
    fault_of_a_fetch: cover property (@(posedge clk) faulted && mmu.rsp_error[4]);
    fault_with_younger_requests: cover property (@(posedge clk) faulted && mmu.u_queue.count_q != 3'd0);
    fault_while_a_request_arrives: cover property (@(posedge clk) faulted && mmu.req_valid && mmu.req_ready);
    fault_of_a_write_after_a_read_hit: cover property (@(posedge clk) faulted && !mmu.walk_done && write);
    not_canonical: cover property (@(posedge clk) mmu.rsp_valid && mmu.is_access && mmu.rsp_vector == VECTOR_GP);
    paging_off: cover property (@(posedge clk) mmu.rsp_valid && mmu.is_access && !mmu.paging.pg);

    // ---- control registers ----
    control_write_refused: cover property (@(posedge clk) mmu.control && mmu.control_gp);
    pdptes_loaded: cover property (@(posedge clk) mmu.load_done && !mmu.load_bad);
    pdptes_refused: cover property (@(posedge clk) mmu.load_done && mmu.load_bad);
    invlpg_while_pdptes_load: cover property (@(posedge clk) mmu.acts && mmu.u_head.state_q == H_PDPTE);
    cr3_keeps_entries: cover property (@(posedge clk) mmu.cr3_written && mmu.drop == DROP_NONE);
    control_write_behind_a_walk: cover property (@(posedge clk) mmu.req_valid && mmu.req_ready && mmu.req_op != OP_ACCESS && walking);
endmodule

bind mmu cover_points u_cover_points (.clk(clk), .rst_n(rst_n));
`default_nettype wire
