// Works on the oldest request: first level, second level one class a cycle, walk, answer; or a control-register write. Says
// what each of these changes in the arrays, which do it at the end of the cycle.
//
// An access that misses the first level and is found in the second class probed (stlb_cycles 0), then a hit:
//   cycle          t     t+1   t+2   t+3
//   head           <     A         >< B >
//   state          LOOK  PROBE PROBE LOOK
//   look           _/---\_________/---\_
//   l1_hit         _______________/---\_
//   l2_read        _/---------\_________         the row for the next cycle's class
//   l2_look        _______/--------\____
//   l2_hit         _____________/--\____
//   answers        _____________/--------\_
// A miss of all starts the walker in the cycle that knows it; its done answers. In a cycle in which an invalidation acts
// nothing moves here; a look-up under way begins anew after it, a walk under way fills nothing when it ends.
`default_nettype none
`include "mmu_types.svh"

module head #(
    parameter int STLB_CYCLES = 0,
    parameter int PROBES_I = 0,          // classes to probe in the instruction side's second level; 0: there is none
    parameter int PROBES_D = 0
) (
    input logic clk,
    input logic rst_n,
    `MUT_PORT
    // the request
    input logic valid,
    input mmu_op_t op,
    input mmu_type_t access_type,
    input mmu_mode_t mode,
    input logic [63:0] value,
    /* verilator lint_off UNUSEDSIGNAL */
    input paging_t paging,
    /* verilator lint_on UNUSEDSIGNAL */
    input logic acts,                    // an invalidation does: stand still
`ifdef MUTATE
    input logic invlpg,                  // it is INVLPG
`endif
    output logic is_access,
    output logic instruction,
    // first level
    output logic look,
    input logic l1_hit,
    input logic [1:0] l1_class,
    input entry_t l1_entry,
    output logic l1_touch,
    output logic l1_fill,
    // second level
    output logic l2_read,
    output logic [1:0] l2_read_step,
    output logic l2_look,
    output logic [1:0] l2_step,
    input logic l2_hit,
    input logic [1:0] l2_hit_class,
    input logic [1:0] l2_hit_array,
    input logic [5:0] l2_hit_way,
    input logic l2_hit_global,
    input logic l2_pde_hit,
    input logic [5:0] l2_pde_hit_way,
    output logic l2_found,               // a page, in this probe or one before
    output logic l2_ended,               // all that is wanted is known: its entries are used
    output logic [1:0] l2_class,
    output logic [1:0] l2_array,
    output logic [5:0] l2_way,
    output logic l2_global,
    output logic l2_pde_found,
    output logic [5:0] l2_pde_way,
    input entry_t l2_entry,
    output logic l2_touch,
    // walk
    output logic walk_start,
    output logic walk_dirty,
    input logic walk_done,
    input logic walk_fault,
    input logic walk_present,
    input logic walk_reserved,
    input logic walk_leaf,
    input logic [1:0] walk_class,
    /* verilator lint_off UNUSEDSIGNAL */
    input entry_t walk_entry,            // its rights were judged by the walker
    /* verilator lint_on UNUSEDSIGNAL */
    output logic fill,                   // what the walk found
    // control-register write
    output logic control,
    output logic control_commit,
    output logic load_start,
    input logic control_gp,
    input logic control_loads,
    input logic load_done,
    input logic load_bad,
    // answer
    output logic answers,
    output logic squash,
    output logic page_fault,
    output logic [3:0] vector,
    output logic [4:0] error,
    output logic [63:0] cr2,
    output logic [PA_MAX-1:0] pa,
    output mmu_hit_t hit_kind,
    output logic [4:0] page_shift,
    output logic [2:0] memory
);
    head_state_t state_q;
    logic [6:0] step_q;                  // of the second level, from 1
    logic found_q, global_q, pde_found_q, poisoned_q, dirty_q;
    logic [1:0] class_q, array_q;
    logic [5:0] way_q, pde_way_q;

    logic canonical, is_write, probing, has_second, hit, hit_fault, dirty_miss, served, missed, rights_fault, served_second;
    logic [6:0] probes;
    logic [1:0] shift_class;
    entry_t entry;
    rights_t entry_rights;

`ifdef MUTATE
    logic acted_q;                       // an invalidation did, in the cycle before
    always_ff @(posedge clk) begin : acted
        acted_q <= acts;
    end
`endif

    // ---- look-up ----
    always_comb begin : decode
        is_access = valid && op == OP_ACCESS;
        control = valid && op != OP_ACCESS;
        instruction = access_type == TYPE_FETCH;
        is_write = access_type == TYPE_WRITE || access_type == TYPE_MODIFY;
        canonical = 1'b1;
        if (paging.lma) begin
            canonical = value[63:47] == '0 || value[63:47] == '1 || `MUT(44, 1'b0, 1'b1);
        end
        look = is_access && state_q == H_LOOK && paging.pg && canonical && !acts && `MUT(69, 1'b1, !acted_q);
        probing = (PROBES_I != 0 || PROBES_D != 0) && state_q == H_PROBE && !acts;
        probes = instruction ? 7'(PROBES_I) : 7'(PROBES_D);
        has_second = probes != '0;
        l2_look = probing && !found_q && step_q <= probes;
        l2_step = step_q[1:0] - 2'd1;
    end

    always_comb begin : second
        l2_found = 1'b0;
        l2_class = '0;
        l2_array = '0;
        l2_way = '0;
        l2_global = 1'b0;
        l2_pde_found = 1'b0;
        l2_pde_way = '0;
        l2_ended = 1'b0;
        if (state_q == H_WALK) begin
            l2_pde_way = pde_way_q;
        end
        if (probing) begin
            l2_class = class_q;
            l2_array = array_q;
            l2_way = way_q;
            l2_global = global_q;
            l2_pde_way = pde_way_q;
            l2_found = found_q || l2_hit;
            l2_pde_found = pde_found_q || l2_pde_hit;
            l2_ended = step_q + 7'd1 > 7'(STLB_CYCLES) && (l2_found || step_q >= probes);
            if (l2_hit) begin
                l2_class = l2_hit_class;
                l2_array = l2_hit_array;
                l2_way = l2_hit_way;
                l2_global = l2_hit_global;
            end
            if (l2_pde_hit) begin
                l2_pde_way = l2_pde_hit_way;
            end
        end
        l2_read = (look && !l1_hit && has_second) || (l2_look && !l2_hit && step_q < probes);
        l2_read_step = look ? 2'd0 : step_q[1:0];
    end

    // ---- what an entry that was found allows ----
    always_comb begin : select
        entry = l1_entry;
        shift_class = `MUT(74, l1_class, class_q);
        hit = l1_hit;
        if (l2_ended) begin
            hit = l2_found;
            entry = l2_entry;
            shift_class = l2_class;
        end
        entry_rights = {entry.nx, entry.us, entry.rw};
    end

    permission u_permission (
        `MUT_CONNECT .enable(hit), .access_type(access_type), .mode(mode), .paging(paging), .rights(entry_rights),
        .fault(rights_fault));

    always_comb begin : judge
        dirty_miss = hit && is_write && !rights_fault && `MUT(9, !entry.d, 1'b0);
        hit_fault = hit && rights_fault;
        served = hit && !rights_fault && !dirty_miss;
        missed = (look && !l1_hit && !has_second) || (l2_ended && !l2_found);
        walk_start = missed || dirty_miss;
        walk_dirty = dirty_miss;
        served_second = l2_ended && served;
        l1_touch = served && !l2_ended;
        l2_touch = served_second;
    end

    always_comb begin : outcome
        page_fault = hit_fault || (walk_done && walk_fault);
        fill = walk_done && (!walk_fault || `MUT(28, 1'b0, walk_leaf) || `MUT(87, 1'b0, !walk_present)) &&
            (`MUT(45, !poisoned_q, 1'b1) || `MUT(64, 1'b0, acted_q));
        l1_fill = fill || served_second;
    end

    // ---- control-register writes ----
    always_comb begin : control_write
        control_commit = 1'b0;
        load_start = 1'b0;
        if (control && !acts) begin
            control_commit = state_q == H_PDPTE ? load_done && !load_bad : !control_gp && !control_loads;
            load_start = state_q == H_LOOK && control_loads;
        end
    end

    // ---- answer ----
    always_comb begin : respond
        answers = served || hit_fault || walk_done;
        vector = VECTOR_NONE;
        error = '0;
        if (control) begin
            answers = control_commit || (!acts && (control_gp || load_done));
            if (control_gp || load_bad) begin
                vector = VECTOR_GP;
            end
        end else if (is_access && (!paging.pg || !canonical)) begin
            answers = !acts;
            if (!canonical) begin
                vector = VECTOR_GP;
            end
        end else if (page_fault) begin
            vector = VECTOR_PF;
            error[0] = hit_fault || walk_present;
            error[1] = is_write && `MUT(88, 1'b1, hit_fault);
            error[2] = mode == MODE_USER;
            error[3] = walk_done && walk_reserved;
            error[4] = instruction && (paging.smep || paging.nxe);
        end
        squash = page_fault || (answers && (control ? control_gp || load_bad : is_access && !canonical));
        cr2 = (paging.lma ? value : {32'd0, value[31:0]}) & `MUT(89, ~64'd0, ~64'hFFF);
        hit_kind = HIT_OFF;
        page_shift = 5'd0;
        pa = {20'd0, value[31:0]};
        memory = entry.memory;
        if (walk_done) begin
            hit_kind = HIT_WALK;
            if (state_q == H_WALK ? dirty_q : walk_dirty) begin
                hit_kind = HIT_DIRTY;
            end
            pa = {walk_entry.frame & `MUT(73, ~40'd0, walk_class == 2'd0 ? ~40'd0 : ~40'h1FF), value[11:0]};
            memory = walk_entry.memory;
            if (walk_leaf) begin
                page_shift = walk_class == 2'd0 ? 5'd12 : walk_class == 2'd2 ? 5'd30 : paging.pae ? 5'd21 : 5'd22;
            end
        end else if (hit) begin
            hit_kind = HIT_L1;
            if (l2_ended) begin
                hit_kind = HIT_L2;
            end
            if (shift_class == 2'd0) begin
                page_shift = 5'd12;
                pa = {entry.frame, value[11:0]};
            end else if (shift_class == 2'd2) begin
                page_shift = 5'd30;
                pa = {entry.frame[39:18], value[29:0]} | `MUT(72, 52'd0, {22'd0, entry.frame[17:0], 12'd0});
            end else if (paging.pae) begin
                page_shift = 5'd21;
                pa = {entry.frame[39:9], value[20:0]} | `MUT(72, 52'd0, {31'd0, entry.frame[8:0], 12'd0});
            end else begin
                page_shift = 5'd22;
                pa = {entry.frame[39:10], value[21:0]};
            end
        end
    end

    always_ff @(posedge clk) begin : registers
        if (!rst_n) begin
            state_q <= H_LOOK;
        end else if (answers) begin
            state_q <= H_LOOK;
        end else if (walk_start) begin
            state_q <= H_WALK;
        end else if (load_start) begin
            state_q <= H_PDPTE;
        end else if (look) begin
            state_q <= H_PROBE;
        end else if (state_q == H_PROBE && acts) begin
            state_q <= H_LOOK;
        end
        if (look || probing) begin
            step_q <= look ? 7'd1 : step_q + 7'd1;
        end
        if (look) begin
            found_q <= 1'b0;
            pde_found_q <= 1'b0;
        end else if (probing) begin
            found_q <= l2_found;
            class_q <= l2_class;
            array_q <= l2_array;
            way_q <= l2_way;
            global_q <= l2_global;
            pde_found_q <= l2_pde_found;
            pde_way_q <= l2_pde_way;
        end
        if (walk_start) begin
            dirty_q <= walk_dirty;
            poisoned_q <= 1'b0;
        end else if (acts && `MUT(65, 1'b1, !invlpg)) begin
            poisoned_q <= 1'b1;
        end
    end

    always_ff @(posedge clk) begin : rules
        if (rst_n) begin
            // Nothing is answered, started or changed while an invalidation acts.
            assert (!acts || !(answers || walk_start || load_start || l1_fill || l1_touch || l2_touch || control_commit));
            // A fault fills nothing and is answered at once; a hit starts no walk.
            assert (!(fill && page_fault));
            assert (!page_fault || (answers && vector == VECTOR_PF));
            assert (!(served && walk_start));
            assert (valid || !answers);
            assert (!(l1_hit && l2_ended));
            assert (state_q == H_LOOK || valid);
        end
    end
endmodule
`default_nettype wire
