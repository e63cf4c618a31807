// The MMU: request queue, head, TLBs, paging-structure caches, page walker, control registers, invalidation port, counters.
// Flat ports; rtl/README.md is the specification and has the table of every latency.
//
// Two hits, then a miss (memory latency 1, no second level, 4 MB page), then a request that waits for it:
//   cycle        t-1   t     t+1   t+2   t+3   t+4   t+5
//   req_valid    _/-----------------------\______________
//   req          < A  >< B  >< C  >< D  >
//   req_ready    ----------------------------------------     not with eight waiting
//   (head)             A     B     C     C     C     D
//   rsp_valid    ______/-----------\___________/--------
//   rsp                <pa A><pa B>            <pa C><pa D>
//   mem_valid    __________________/---\________________
// A request is taken at the end of a cycle with req_valid and req_ready, and looked up in the next cycle if none is before
// it. A hit answers there; a miss issues its first memory read there.
`default_nettype none
`include "mmu_types.svh"

module mmu #(
    parameter int ITLB0_CLASSES = 1, parameter int ITLB0_SETS = 16, parameter int ITLB0_WAYS = 4,
    parameter int ITLB1_CLASSES = 2, parameter int ITLB1_SETS = 2, parameter int ITLB1_WAYS = 4,
    parameter int ITLB2_CLASSES = 4, parameter int ITLB2_SETS = 1, parameter int ITLB2_WAYS = 0,
    parameter int DTLB0_CLASSES = 1, parameter int DTLB0_SETS = 16, parameter int DTLB0_WAYS = 4,
    parameter int DTLB1_CLASSES = 2, parameter int DTLB1_SETS = 2, parameter int DTLB1_WAYS = 4,
    parameter int DTLB2_CLASSES = 4, parameter int DTLB2_SETS = 1, parameter int DTLB2_WAYS = 0,
    parameter int ISTLB0_CLASSES = 9, parameter int ISTLB0_SETS = 64, parameter int ISTLB0_WAYS = 4,
    parameter int ISTLB1_CLASSES = 1, parameter int ISTLB1_SETS = 1, parameter int ISTLB1_WAYS = 0,
    parameter int DSTLB0_CLASSES = 1, parameter int DSTLB0_SETS = 1, parameter int DSTLB0_WAYS = 0,
    parameter int DSTLB1_CLASSES = 1, parameter int DSTLB1_SETS = 1, parameter int DSTLB1_WAYS = 0,
    parameter int PSC_PDE_SETS = 1, parameter int PSC_PDE_WAYS = 4,
    parameter int PSC_PDPTE_SETS = 1, parameter int PSC_PDPTE_WAYS = 0,
    parameter int PSC_PML4E_SETS = 1, parameter int PSC_PML4E_WAYS = 0,
    parameter int L1_UNIFIED = 0,          // 1: both sides use the instruction side's arrays
    parameter int L2_UNIFIED = 1,
    parameter int REPLACEMENT = 0,         // 0 = true LRU, 1 = tree pseudo-LRU, 2 = random
    parameter int SEED = 1,
    parameter int STLB_CYCLES = 0,
    parameter int WALKERS = 1,             // 1..4
    parameter int PHYSICAL_BITS = 52,      // the widest maxphyaddr that is built
    parameter int VALUE_BITS = 64,         // bits of req_value that are built
    parameter int FEATURES = 4095          // enum cpu_feature: what is built; the strap says what of it is on
) (
    input logic clk,
    input logic rst_n,                 // synchronous; the straps are taken while it is low
`ifdef MUTATE
    input logic [31:0] mutant,         // strap: which hand-made bug is alive, 0 = none
`endif
    input logic [5:0] maxphyaddr,      // strap: 32..52
    input logic [CPU_FEATURES-1:0] features,  // strap
    // request: an access, or a control-register write
    input logic req_valid,
    output logic req_ready,
    input mmu_op_t req_op,
    input mmu_type_t req_type,
    input mmu_mode_t req_mode,
    input logic [63:0] req_value,      // address, or the register's new value
    // response, in the order of the requests
    output logic rsp_valid,
    output logic [3:0] rsp_vector,     // 0, 13 = #GP, 14 = #PF
    output logic [4:0] rsp_error,      // P, W, U, RSVD, I (SDM 4.7)
    output logic [63:0] rsp_cr2,
    output logic [PA_MAX-1:0] rsp_pa,
    output mmu_hit_t rsp_hit,
    output logic [4:0] rsp_page_shift, // 12, 21, 22, 30; 0 if no leaf was found
    output logic [2:0] rsp_memory,     // type
    output logic [2:0] rsp_psc_level,  // of the cached entry that the walk began from; 0 = none
    output logic [15:0] rsp_restarts,
    // INVLPG and INVPCID: never busy; done in the cycle after, in which inv_vector is valid
    input logic inv_valid,
    input logic inv_pcid_op,           // 0 = INVLPG, 1 = INVPCID
    input logic [63:0] inv_type,
    input logic [63:0] inv_pcid,
    input logic [63:0] inv_va,
    output logic inv_done,
    output logic [3:0] inv_vector,     // 0, 6 = #UD, 13 = #GP
    // memory: read or compare-and-exchange of one entry, taken when offered, answered one or more cycles later
    output logic mem_valid,
    output logic mem_early,            // not asked again: the head's read is one that mem_id has made ahead
    output logic [1:0] mem_id,         // walker
    output logic mem_exchange,
    output logic mem_wide,             // 8 bytes, else 4
    output logic [2:0] mem_level,
    output logic [PA_MAX-1:0] mem_pa,
    output logic [63:0] mem_expected,
    output logic [63:0] mem_desired,
    input logic mem_rsp_valid,
    input logic [1:0] mem_rsp_id,
    input logic [63:0] mem_rsp_data,
    // control registers
    output logic [63:0] cr0,
    output logic [63:0] cr3,
    output logic [63:0] cr4,
    output logic [63:0] efer,
    output logic eflags_ac,
    output logic [63:0] pat,
    // debug: one word of an array (0 = valid bits of a set, 1 = debug_tag_t of an entry, 2 = its entry_t, 3 = its address)
    // or one counter, in the second cycle of debug_read
    input logic debug_hold,
    input logic debug_read,
    input logic [3:0] debug_array,     // enum mmu_array, 15 = counters
    input logic [1:0] debug_field,
    input logic [9:0] debug_set,
    input logic [5:0] debug_way,
    input logic [5:0] debug_counter,
    output logic [63:0] debug_word
);
    // How many classes the arrays of a level have at most.
    /* verilator lint_off UNUSEDSIGNAL */
    function automatic int most(input int a, input int b);
    /* verilator lint_on UNUSEDSIGNAL */
        int in_a, in_b;
        in_a = (a & 1) + (a >> 1 & 1) + (a >> 2 & 1) + (a >> 3 & 1);  // not a[0]: to Yosys that is 0
        in_b = (b & 1) + (b >> 1 & 1) + (b >> 2 & 1) + (b >> 3 & 1);
        most = in_a > in_b ? in_a : in_b;
    endfunction
    localparam int PROBES_I = most(ISTLB0_WAYS == 0 ? 0 : ISTLB0_CLASSES, ISTLB1_WAYS == 0 ? 0 : ISTLB1_CLASSES);
    localparam int PROBES_D = L2_UNIFIED != 0 ? PROBES_I :
        most(DSTLB0_WAYS == 0 ? 0 : DSTLB0_CLASSES, DSTLB1_WAYS == 0 ? 0 : DSTLB1_CLASSES);
    localparam int VA_BITS = FEATURES[CPU_LONG] ? 48 : 32;
    localparam int PA_MOST = FEATURES[CPU_LONG] || FEATURES[CPU_PAE] ? 52 : FEATURES[CPU_PSE] && FEATURES[CPU_PSE36] ? 40 : 32;
    localparam int PA_BITS = PHYSICAL_BITS < PA_MOST ? PHYSICAL_BITS : PA_MOST;
    localparam int PCID_BITS = FEATURES[CPU_PCID] ? 12 : 1;
    localparam int POSSIBLE = 1 + (FEATURES[CPU_PSE] || FEATURES[CPU_PAE] || FEATURES[CPU_LONG] ? 2 : 0) +
        (FEATURES[CPU_1G] && FEATURES[CPU_LONG] ? 4 : 0);
    // What is not built is 0 as soon as it is out of its register, so that synthesis drops what hangs on it.
    localparam logic [63:0] VALUE_MASK = 64'hFFFFFFFF_FFFFFFFF >> (64 - VALUE_BITS);
    localparam logic [63:0] ENTRY_MASK = FEATURES[CPU_LONG] || FEATURES[CPU_PAE] ? 64'hFFFFFFFF_FFFFFFFF : 64'hFFFFFFFF;

    // ---- straps and registers ----
    logic [CPU_FEATURES-1:0] strap_q, features_q;
    logic [51:32] beyond_q;
    logic answer_valid;
    logic [63:0] answer, memory_answer;
`ifdef MUTATE
    logic [31:0] mut_sel;
    always_ff @(posedge clk) begin : mutant_strap
        if (!rst_n) mut_sel <= mutant;
    end
`endif

    logic head_valid, pop, squash, is_access, instruction, control;
    mmu_op_t head_op;
    mmu_type_t head_type;
    mmu_mode_t head_mode;
    logic [63:0] queue_value, head_value;

    logic look, l1_hit, l1_touch, l1_fill, l2_read, l2_look, l2_hit, l2_hit_global, l2_pde_hit, l2_found, l2_ended, l2_global;
    logic l2_pde_found, l2_touch;
    logic [1:0] l1_class, l2_read_step, l2_step, l2_hit_class, l2_hit_array, l2_class, l2_array, l1_fill_class;
    logic [3:0] l1_number, hit_number;
    logic [5:0] l2_hit_way, l2_pde_hit_way, l2_way, l2_pde_way;
    entry_t l1_entry, l2_entry, l1_fill_entry;
    entry_t l2_pde_entry, pde_entry;
    logic l1_fill_global;

    logic walk_start, walk_dirty, walk_busy, walk_done, walk_fault, walk_present, walk_reserved, walk_leaf, walk_global;
    logic walk_restart, walk_committed, walk_mem, fill, from_second, page_fault, pde_touch, pde_fill;
    logic [1:0] walk_class;
    entry_t walk_entry;
    logic [51:12] pdpte_frame;
    logic [2:0] from_level, walk_level;
    logic [PA_MAX-1:0] walk_pa, load_pa;
    logic [2:0] memory_index;

    paging_t paging;
    logic pcide, control_gp, control_loads, control_commit, cr3_written, flushed, load_start, load_done, load_bad;
    logic load_mem, pdpte_present;
    logic [31:5] load_base;
    logic [11:0] current_pcid, control_pcid, inv_pcid_used, pcid;

    // several walkers: ahead.sv
    logic [2:0] position, younger_slot, first_slot, start_level, ahead_level;
    logic younger_valid, younger_access, younger_fetch, advance, owns, ahead_fetch, ahead_look, ahead_l2_read, ahead_l2_look;
    logic ahead_l2_use, ahead_pde_found, ahead_missed, start_possible, early_stored, early_waits, ahead_valid, ahead_taken;
    logic [63:0] younger_value, early_value;
    logic [1:0] ahead_l2_read_step, ahead_l2_step, early_id, ahead_id;
    logic [5:0] ahead_pde_way;
    logic [51:12] start_frame;
    logic [VA_MAX-1:0] ahead_va;
    logic [PA_MAX-1:0] ahead_pa;

    drop_t control_drop, inv_drop, drop, drop_l1_i, drop_l1_d, drop_l2, drop_psc;
    logic acts, invlpg, invpcid;
    logic [VA_MAX-1:0] inv_va_used, va, walk_va;
    logic [26:0] va_large;

    /* verilator lint_off UNUSEDSIGNAL */
    logic [15:0] debug_select;
    /* verilator lint_on UNUSEDSIGNAL */
    logic [1:0] debug_word_field;
    logic [9:0] debug_set_q;
    logic [5:0] debug_way_q, debug_counter_q;
    logic [63:0] tlb_debug, psc_debug, counter_debug;

    always_ff @(posedge clk) begin : straps
        if (!rst_n) begin
            strap_q <= features;
            for (int i = 32; i < 52; i++) beyond_q[i] <= maxphyaddr <= 6'(i);
        end
    end

    assign features_q = strap_q & CPU_FEATURES'(FEATURES);
    assign answer = memory_answer & ENTRY_MASK;
    assign head_value = queue_value & VALUE_MASK;
    request_queue #(.WALKERS(WALKERS)) u_queue (
        .clk(clk), .rst_n(rst_n), .req_valid(req_valid), .req_ready(req_ready), .req_op(req_op), .req_type(req_type),
        .req_mode(req_mode), .req_value(req_value), .head_valid(head_valid), .head_op(head_op), .head_type(head_type),
        .head_mode(head_mode), .head_value(queue_value), .pop(pop), .squash(squash && `MUT(84, 1'b1, 1'b0)), .*);
    assign pop = rsp_valid;

    // ---- the address and PCID that the arrays work on: the head's, or for a look ahead, but an invalidation's in its cycle ----
    assign walk_va = paging.lma ? head_value[47:0] : {16'd0, head_value[31:0]};
    always_comb begin : address
        va = walk_va;
        pcid = current_pcid;
        if (owns) begin
            va = ahead_va;
        end else if (acts) begin
            va = inv_va_used;
            pcid = inv_pcid_used;
        end else if (control) begin
            pcid = control_pcid;
        end
        va_large = paging.pae ? va[47:21] : {1'b0, va[47:22]};
    end

    always_comb begin : invalidate
        drop = DROP_NONE;
        if (acts) begin
            drop = inv_drop;
        end else if (control_commit) begin
            drop = control_drop;
        end else if (page_fault && `MUT(4, 1'b1, 1'b0)) begin
            drop = DROP_FAULT;
        end
    end
`ifdef MUTATE
    always_comb begin : invalidate_in_part
        drop_psc = drop;
        drop_l1_i = drop;
        drop_l1_d = drop;
        drop_l2 = drop;
        if (mut_sel == 29 && invlpg) drop_l1_i = DROP_NONE;
        if (mut_sel == 46 && invlpg) drop_l2 = DROP_NONE;
        if (mut_sel == 47 && invlpg) drop_psc = DROP_NONE;
        if (mut_sel == 8 && drop == DROP_ALL) drop_l1_d = DROP_NONE;
    end
`else
    assign drop_psc = drop;
    assign drop_l1_i = drop;
    assign drop_l1_d = drop;
    assign drop_l2 = drop;
`endif

    head #(.STLB_CYCLES(STLB_CYCLES), .PROBES_I(PROBES_I), .PROBES_D(PROBES_D)) u_head (
        .clk(clk), .rst_n(rst_n), `MUT_CONNECT .valid(head_valid), .op(head_op), .access_type(head_type), .mode(head_mode),
        .value(head_value), .paging(paging), .acts(acts), .is_access(is_access), .instruction(instruction),
`ifdef MUTATE
        .invlpg(invlpg),
`endif
        .look(look), .l1_hit(l1_hit && !owns), .l1_class(l1_class), .l1_entry(l1_entry), .l1_touch(l1_touch),
        .l1_fill(l1_fill), .l2_read(l2_read), .l2_read_step(l2_read_step), .l2_look(l2_look), .l2_step(l2_step),
        .l2_hit(l2_hit), .l2_hit_class(l2_hit_class), .l2_hit_array(l2_hit_array), .l2_hit_way(l2_hit_way),
        .l2_hit_global(l2_hit_global), .l2_pde_hit(l2_pde_hit), .l2_pde_hit_way(l2_pde_hit_way), .l2_found(l2_found),
        .l2_ended(l2_ended), .l2_class(l2_class), .l2_array(l2_array), .l2_way(l2_way), .l2_global(l2_global),
        .l2_pde_found(l2_pde_found), .l2_pde_way(l2_pde_way), .l2_entry(l2_entry), .l2_touch(l2_touch),
        .walk_start(walk_start), .walk_dirty(walk_dirty), .walk_done(walk_done), .walk_fault(walk_fault),
        .walk_present(walk_present), .walk_reserved(walk_reserved), .walk_leaf(walk_leaf), .walk_class(walk_class),
        .walk_entry(walk_entry), .fill(fill), .control(control), .control_commit(control_commit), .load_start(load_start),
        .control_gp(control_gp), .control_loads(control_loads), .load_done(load_done), .load_bad(load_bad),
        .answers(rsp_valid), .squash(squash), .page_fault(page_fault), .vector(rsp_vector), .error(rsp_error),
        .cr2(rsp_cr2), .pa(rsp_pa), .hit_kind(rsp_hit), .page_shift(rsp_page_shift), .memory(memory_index));

    memory_type u_memory_type (
        .translated(is_access && paging.pg), .index(memory_index), .pat(pat), .result(rsp_memory));

    tlbs #(
        .ITLB0_CLASSES(ITLB0_CLASSES), .ITLB0_SETS(ITLB0_SETS), .ITLB0_WAYS(ITLB0_WAYS),
        .ITLB1_CLASSES(ITLB1_CLASSES), .ITLB1_SETS(ITLB1_SETS), .ITLB1_WAYS(ITLB1_WAYS),
        .ITLB2_CLASSES(ITLB2_CLASSES), .ITLB2_SETS(ITLB2_SETS), .ITLB2_WAYS(ITLB2_WAYS),
        .DTLB0_CLASSES(DTLB0_CLASSES), .DTLB0_SETS(DTLB0_SETS), .DTLB0_WAYS(DTLB0_WAYS),
        .DTLB1_CLASSES(DTLB1_CLASSES), .DTLB1_SETS(DTLB1_SETS), .DTLB1_WAYS(DTLB1_WAYS),
        .DTLB2_CLASSES(DTLB2_CLASSES), .DTLB2_SETS(DTLB2_SETS), .DTLB2_WAYS(DTLB2_WAYS),
        .ISTLB0_CLASSES(ISTLB0_CLASSES), .ISTLB0_SETS(ISTLB0_SETS), .ISTLB0_WAYS(ISTLB0_WAYS),
        .ISTLB1_CLASSES(ISTLB1_CLASSES), .ISTLB1_SETS(ISTLB1_SETS), .ISTLB1_WAYS(ISTLB1_WAYS),
        .DSTLB0_CLASSES(DSTLB0_CLASSES), .DSTLB0_SETS(DSTLB0_SETS), .DSTLB0_WAYS(DSTLB0_WAYS),
        .DSTLB1_CLASSES(DSTLB1_CLASSES), .DSTLB1_SETS(DSTLB1_SETS), .DSTLB1_WAYS(DSTLB1_WAYS),
        .L1_UNIFIED(L1_UNIFIED), .L2_UNIFIED(L2_UNIFIED), .REPLACEMENT(REPLACEMENT), .SEED(SEED), .POSSIBLE(POSSIBLE),
        .VA_BITS(VA_BITS), .PA_BITS(PA_BITS), .PCID_BITS(PCID_BITS)) u_tlbs (
        .clk(clk), .rst_n(rst_n), `MUT_CONNECT .va(va[47:12]), .va_large(va_large), .pcid(pcid),
        .instruction(owns ? ahead_fetch : instruction), .look(look || ahead_look), .l1_hit(l1_hit), .l1_class(l1_class), .l1_number(l1_number), .l1_entry(l1_entry),
        .l1_touch(l1_touch), .l1_fill(l1_fill), .l1_fill_class(l1_fill_class), .l1_fill_entry(l1_fill_entry),
        .l1_fill_global(l1_fill_global), .l2_read(l2_read || ahead_l2_read),
        .l2_read_step(owns ? ahead_l2_read_step : l2_read_step), .l2_look(l2_look || ahead_l2_look),
        .l2_step(owns ? ahead_l2_step : l2_step), .l2_hit(l2_hit), .l2_hit_class(l2_hit_class), .l2_hit_array(l2_hit_array),
        .l2_hit_way(l2_hit_way), .l2_hit_global(l2_hit_global), .l2_pde_hit(l2_pde_hit), .l2_pde_hit_way(l2_pde_hit_way),
        .l2_use(l2_ended || ahead_l2_use), .l2_found(l2_found), .l2_class(l2_class), .l2_way(l2_way),
        .l2_pde_way(owns ? ahead_pde_way : l2_pde_way),
        .l2_entry(l2_entry), .l2_pde_entry(l2_pde_entry), .l2_touch(l2_touch), .l2_fill(fill), .walk_class(walk_class),
        .walk_entry(walk_entry), .walk_global(walk_global), .pde_touch(pde_touch),
        .pde_fill(pde_fill), .pde_entry(pde_entry), .drop_l1_i(drop_l1_i), .drop_l1_d(drop_l1_d),
        .drop_l2(drop_l2),
        .debug_select(debug_select[9:0]), .debug_field(debug_word_field), .debug_set(debug_set_q), .debug_way(debug_way_q), .debug_word(tlb_debug));

    // What is filled: the first level takes what the second found, or with it what a walk did.
    always_comb begin : fills
        l1_fill_class = walk_class;
        l1_fill_entry = walk_entry;
        l1_fill_global = walk_global;
        if (l2_ended) begin
            l1_fill_class = l2_class;
            l1_fill_entry = l2_entry;
            l1_fill_global = l2_global;
            // the part of the page that holds the address
            if (l2_class == 2'd2) begin
                l1_fill_entry.frame[17:0] = va[29:12];
            end else if (l2_class == 2'd1) begin
                l1_fill_entry.frame[8:0] = va[20:12];
                if (!paging.pae) l1_fill_entry.frame[9] = va[21];
            end
        end
    end

    // ---- walk ----
    mmu_mode_t walk_mode;
    always_comb begin : requester
        walk_mode = head_mode;
`ifdef MUTATE
        if (mut_sel == 76) walk_mode = MODE_SUPERVISOR;
        if (mut_sel == 76 && req_mode == MODE_USER) walk_mode = MODE_USER;
`endif
    end
    walk_unit #(
        .PDE_SETS(PSC_PDE_SETS), .PDE_WAYS(PSC_PDE_WAYS), .PDPTE_SETS(PSC_PDPTE_SETS), .PDPTE_WAYS(PSC_PDPTE_WAYS),
        .PML4E_SETS(PSC_PML4E_SETS), .PML4E_WAYS(PSC_PML4E_WAYS), .VA_BITS(VA_BITS), .PA_BITS(PA_BITS),
        .PCID_BITS(PCID_BITS), .REPLACEMENT(REPLACEMENT), .SEED(SEED)) u_walk (
        .clk(clk), .rst_n(rst_n), `MUT_CONNECT .va(va), .va_large(va_large), .pcid(`MUT(62, pcid, acts ? current_pcid : pcid)),
        .walk_va(walk_va), .access_type(head_type), .mode(walk_mode), .paging(paging), .features(features_q), .beyond(beyond_q),
        .cr3_frame(cr3[51:12]), .pdpte_frame(pdpte_frame), .pdpte_present(pdpte_present), .start(walk_start),
        .ahead_missed(ahead_missed), .start_level(start_level), .start_frame(start_frame), .start_possible(start_possible),
        .second_found(owns ? ahead_pde_found : l2_pde_found && l2_ended), .second_entry(l2_pde_entry), .fill(fill), .drop(drop_psc),
        .busy(walk_busy), .done(walk_done), .fault(walk_fault), .fault_present(walk_present),
        .fault_reserved(walk_reserved), .leaf_found(walk_leaf), .leaf_class(walk_class), .leaf_entry(walk_entry),
        .leaf_global(walk_global), .restarts(rsp_restarts), .psc_level(rsp_psc_level), .from_level(from_level),
        .from_second(from_second), .pde_touch(pde_touch), .pde_fill(pde_fill), .pde_entry(pde_entry),
        .mem_valid(walk_mem), .mem_exchange(mem_exchange), .mem_level(walk_level), .mem_pa(walk_pa),
        .mem_expected(mem_expected), .mem_desired(mem_desired), .answer_valid(answer_valid && walk_busy),
        .answer(answer), .restart(walk_restart), .committed(walk_committed), .debug_select(debug_select[12:10]),
        .debug_field(debug_word_field), .debug_set(debug_set_q), .debug_way(debug_way_q), .debug_word(psc_debug));

    pdpte_registers u_pdptes (
        .clk(clk), .rst_n(rst_n), `MUT_CONNECT .start(load_start), .base(load_base), .beyond(beyond_q), .done(load_done),
        .bad(load_bad), .mem_valid(load_mem), .mem_pa(load_pa), .answer_valid(answer_valid && !walk_busy && FEATURES[CPU_PAE]),
        .answer(answer), .index(va[31:30]), .present(pdpte_present), .frame(pdpte_frame));

    ahead #(.WALKERS(WALKERS), .STLB_CYCLES(STLB_CYCLES), .PROBES_I(PROBES_I), .PROBES_D(PROBES_D)) u_ahead (
        .*, .features(features_q), .beyond(beyond_q));
    memory_port #(.WALKERS(WALKERS)) u_memory_port (.answer(memory_answer), .*);

    // ---- control registers, invalidation port ----
    control_registers u_control (
        .features(features_q), .beyond(beyond_q), .check(control), .commit(control_commit), .op(head_op), .value(head_value),
        .gp(control_gp), .loads(control_loads), .drop(control_drop), .drop_pcid(control_pcid), .pcid(current_pcid), .*);
    assign eflags_ac = paging.ac;

    invalidation u_invalidation (
        .features(features_q), .vector(inv_vector), .drop(inv_drop), .va(inv_va_used), .pcid(inv_pcid_used), .*);
    assign inv_done = acts;

    assign hit_number = !l2_ended ? l1_number : (instruction || L2_UNIFIED != 0 ? 4'd6 : 4'd8) + {2'd0, l2_array};

    counters u_counters (
        .access_done(rsp_valid && is_access && rsp_hit != HIT_OFF), .hit(!walk_done), .hit_array(hit_number),
        .leaf_found(walk_leaf), .leaf_class(walk_class), .second_side(!instruction && L2_UNIFIED == 0),
        .table_read(walk_mem && !mem_exchange), .table_write(walk_committed), .pdpte_load(load_done), .fault(page_fault),
        .operation(acts || control), .cr3_write(cr3_written), .fault_drop(drop == DROP_FAULT), .flush_all(flushed),
        .debug_read(debug_select[15]), .debug_counter(debug_counter_q), .debug_count(counter_debug), .*);

    debug_port u_debug (
        .clk(clk), .debug_read(debug_read), .debug_array(debug_array), .debug_field(debug_field), .debug_set(debug_set),
        .debug_way(debug_way), .debug_counter(debug_counter), .large_shift_21(paging.pae), .select(debug_select),
        .field(debug_word_field), .set(debug_set_q), .way(debug_way_q), .counter(debug_counter_q),
        .answers(tlb_debug | psc_debug | counter_debug), .debug_word(debug_word));

    always_ff @(posedge clk) begin : rules
        if (rst_n && $past(rst_n)) begin
            // A response ends exactly one request.
            assert (!rsp_valid || head_valid);
            // Memory is asked only while there is a head, and a hit costs no access.
            assert (!mem_valid || head_valid);
            assert (!((l1_touch || l2_touch) && (walk_mem || load_mem)));
            assert (!(walk_mem && load_mem));
            // An entry just dropped by INVLPG or #PF does not hit.
            assert (!($past(drop) == DROP_FAULT && $past(va) == va && look && l1_hit));
        end
    end
endmodule
`default_nettype wire
