// One set-associative array: of a TLB's first or second level, with entries of one or more classes, or a
// paging-structure cache. Tags, valid and global bits are flip-flops, so that any invalidation takes one cycle; what an
// entry translates to stands in tlb_payload.sv, which the second level reads with a cycle's delay.
//
//   cycle        t       t+1
//   va           <  A  >            stands still
//   look         __/---\___
//   hit, …       <  A  >            combinational in t; second level: of the class at `step`
//   hit_entry    <  A  >            first level and paging-structure caches
//   read         __/---\___         second level: the set of A for the class at `read_step`
//   hit_entry            <  A  >
//   touch, fill  __/---\___         replacement state and entry written at the end of t
//   drop         __/---\___         valid bits written at the end of t
//   hit (same A)         <new>      the new state answers in t+1
//
// In the last cycle of a walk the second level takes two entries: first the PDE's (pde_fill, or a touch of the PDE entry
// that the walk began from), then the leaf's, which sees what the first has done.
`default_nettype none
`include "mmu_types.svh"

module tlb_array #(
    parameter int NUMBER = 0,       // enum mmu_array
    parameter int LEVEL = 1,        // 1, 2, or 3 = paging-structure cache
    parameter int CLASSES = 1,      // bits 1 << CLASS_*
    parameter int SHIFT_4K = 12,    // of CLASS_4K; the PML4E cache says 39
    parameter int SETS = 16,
    parameter int WAYS = 4,
    parameter int VA_BITS = 32,
    parameter int PA_BITS = 40,
    parameter int PCID_BITS = 1,
    parameter int FRAGMENTS = 0,    // 1: entries can be parts of larger pages
    parameter int REPLACEMENT = 0,
    parameter int SEED = 1
) (
    input logic clk,
    input logic rst_n,
    `MUT_PORT
    /* verilator lint_off UNUSEDSIGNAL */
    input logic [VA_MAX-1:12] va,
    input logic [26:0] va_large,     // page number of classes LARGE and PDE
    input logic [11:0] pcid,
    // look-up; without `look` it answers no hit and zeros
    input logic look,
    input logic [1:0] step,
    output logic hit,                // second level: of a page class
    output logic [1:0] hit_class,
    output logic [5:0] hit_way,
    output logic hit_global,
    output entry_t hit_entry,        // second level: of the way entry_way of the set read
    output logic pde_hit,
    output logic [5:0] pde_hit_way,
    input logic read,
    input logic [1:0] read_step,
    input logic entry_use,
    input logic [5:0] entry_way,
    // changes
    input logic touch,               // the way `touch_way` of class `op_class` was used
    input logic fill,                // an entry of `op_class`; other page classes are dropped
    input logic [1:0] op_class,
    input logic [5:0] touch_way,
    input entry_t fill_entry,
    input logic fill_global,
    input logic fill_fragment,
    input logic pde_touch,
    input logic pde_fill,
    input logic [5:0] pde_way,
    input entry_t pde_entry,
    input drop_t drop,
    // debug: 0 = the valid bits of a set, 1 = debug_tag_t of an entry, 2 = its entry_t
    input logic debug_read,
    input logic [1:0] debug_field,
    input logic [9:0] debug_set,
    input logic [5:0] debug_way,
    /* verilator lint_on UNUSEDSIGNAL */
    output logic [63:0] debug_word
);
    localparam int MIN_SHIFT = CLASSES[0] ? SHIFT_4K : (CLASSES[1] || CLASSES[3]) ? 21 : 30;
    localparam int HAS_PDE = LEVEL == 2 && CLASSES[3] ? 1 : 0;
    localparam int MAIN = LEVEL == 2 ? CLASSES & 7 : CLASSES;  // classes of the main fill
    localparam int COUNT = 32'(CLASSES[0]) + 32'(CLASSES[1]) + 32'(CLASSES[2]) + 32'(CLASSES[3]);
    // Position of each class among the array's, two bits each.
    localparam logic [7:0] POSITION = {2'(32'(CLASSES[0]) + 32'(CLASSES[1]) + 32'(CLASSES[2])),
        2'(32'(CLASSES[0]) + 32'(CLASSES[1])), 2'(CLASSES[0]), 2'd0};
    localparam logic [1:0] ONLY_CLASS = CLASSES[0] ? 2'd0 : CLASSES[1] ? 2'd1 : CLASSES[2] ? 2'd2 : 2'd3;
    localparam int INDEX_BITS = $clog2(SETS);
    localparam int SET_BITS = INDEX_BITS == 0 ? 1 : INDEX_BITS;
    localparam int WAY_BITS = WAYS == 1 ? 1 : $clog2(WAYS);
    localparam int PAGE_BITS = VA_BITS > MIN_SHIFT ? VA_BITS - MIN_SHIFT : 1;
    localparam int TAG_BITS = PAGE_BITS > INDEX_BITS ? PAGE_BITS - INDEX_BITS : 1;
    localparam int KEY_BITS = TAG_BITS + (COUNT > 1 ? 2 : 0);
    localparam int WORD_BITS = KEY_BITS + PCID_BITS;
    localparam int SLOT_BITS = SETS * WAYS == 1 ? 1 : $clog2(SETS * WAYS);
    localparam int FRAME_LOW = LEVEL == 3 || HAS_PDE != 0 ? 12 : MIN_SHIFT;
    localparam int ROWS = REPLACEMENT == 2 ? 1 : SETS;
    localparam int STATE_BITS = REPLACEMENT == 2 ? 16 : WAYS == 1 ? 1 : REPLACEMENT == 1 ? (1 << WAY_BITS) - 1 :
        WAYS * WAY_BITS;

    // Slot = set * WAYS + way. The tag word is class (if there are several), tag, PCID.
    logic [WORD_BITS-1:0] tag_q [0:SETS*WAYS-1];
    logic [WAYS-1:0] valid_q [0:SETS-1];
    logic [WAYS-1:0] global_q [0:SETS-1];
    logic [WAYS-1:0] fragment_q [0:SETS-1];
    logic [WAYS-1:0] is_pde_q [0:SETS-1];
    logic [STATE_BITS-1:0] state_q [0:ROWS-1];

    // ---- set and key of the address in each class ----
    logic [SET_BITS-1:0] set_4k, set_large, set_1g, set_pde;
    logic [KEY_BITS-1:0] key_4k, key_large, key_1g, key_pde;
    tlb_key #(.CLASS(CLASS_4K), .SEVERAL(COUNT > 1 ? 1 : 0), .INDEX_BITS(INDEX_BITS), .SET_BITS(SET_BITS),
        .TAG_BITS(TAG_BITS), .KEY_BITS(KEY_BITS)) u_key_4k (.page(36'(va[VA_MAX-1:SHIFT_4K])), .set(set_4k), .key(key_4k));
    tlb_key #(.CLASS(CLASS_LARGE), .SEVERAL(COUNT > 1 ? 1 : 0), .INDEX_BITS(INDEX_BITS), .SET_BITS(SET_BITS),
        .TAG_BITS(TAG_BITS), .KEY_BITS(KEY_BITS)) u_key_large (.page(36'(va_large)), .set(set_large), .key(key_large));
    tlb_key #(.CLASS(CLASS_1G), .SEVERAL(COUNT > 1 ? 1 : 0), .INDEX_BITS(INDEX_BITS), .SET_BITS(SET_BITS),
        .TAG_BITS(TAG_BITS), .KEY_BITS(KEY_BITS)) u_key_1g (.page(36'(va[VA_MAX-1:30])), .set(set_1g), .key(key_1g));
    tlb_key #(.CLASS(CLASS_PDE), .SEVERAL(COUNT > 1 ? 1 : 0), .INDEX_BITS(INDEX_BITS), .SET_BITS(SET_BITS),
        .TAG_BITS(TAG_BITS), .KEY_BITS(KEY_BITS)) u_key_pde (.page(36'(va_large)), .set(set_pde), .key(key_pde));

    // ---- look-up: the smallest class, in it the lowest way; all loops run downwards so that the lowest wins ----
    logic [SET_BITS-1:0] look_set;
    logic [KEY_BITS-1:0] look_key;
    logic [SLOT_BITS-1:0] hit_slot;
    logic [WAYS-1:0] look_valid;
    always_comb begin : lookup
        hit = 1'b0;
        hit_slot = '0;
        hit_class = '0;
        hit_way = '0;
        hit_global = 1'b0;
        pde_hit = 1'b0;
        pde_hit_way = '0;
        look_set = '0;
        look_key = '0;
        look_valid = '0;
        if (look) begin
            for (int c = ALL_CLASSES - 1; c >= 0; c--) begin
                if (CLASSES[c] && (LEVEL != 2 || step == POSITION[c*2 +: 2])) begin
                    look_set = c == CLASS_4K ? set_4k : c == CLASS_LARGE ? set_large : c == CLASS_1G ? set_1g : set_pde;
                    look_key = c == CLASS_4K ? key_4k : c == CLASS_LARGE ? key_large : c == CLASS_1G ? key_1g : key_pde;
                    look_valid = valid_q[look_set];
                    if (look_valid != '0 || `MUT(1, 1'b0, 1'b1)) begin  // an empty set costs nothing
                        for (int w = WAYS - 1; w >= 0; w--) begin
                            if (tag_q[32'(look_set) * WAYS + w][WORD_BITS-1:PCID_BITS] == look_key) begin
                                if (`MUT(1, look_valid[w], 1'b1) && (global_q[look_set][w] ||
                                    `MUT(34, 1'b0, c == CLASS_LARGE) ||
                                    tag_q[32'(look_set) * WAYS + w][PCID_BITS-1:0] == pcid[PCID_BITS-1:0])) begin
                                    if (HAS_PDE != 0 && c == CLASS_PDE) begin
                                        pde_hit = 1'b1;
                                        pde_hit_way = 6'(w);
                                    end else begin
                                        hit = 1'b1;
                                        hit_class = 2'(c);
                                        hit_way = 6'(w);
                                        hit_global = global_q[look_set][w];
                                        hit_slot = SLOT_BITS'(32'(look_set) * WAYS + w);
                                    end
                                end
                            end
                        end
                    end
                end
            end
        end else if (debug_read) begin
            hit_slot = SLOT_BITS'(32'(debug_set) * WAYS + 32'(debug_way));
        end
    end

    // ---- changes: what of each class they meet, and the valid bits of its set afterwards ----
    logic main_wanted, pde_wanted, local_only, addressed, sweeps, busy;
    logic [SET_BITS-1:0] set;
    logic [KEY_BITS-1:0] key;
    logic [WAYS-1:0] match_4k, match_large, match_1g, match_pde, met;
    always_comb begin : meet
        main_wanted = fill || drop == DROP_FAULT || (LEVEL != 3 && (drop == DROP_PAGE || drop == DROP_PAGE_LOCAL));
        pde_wanted = HAS_PDE != 0 && (pde_fill || drop == DROP_FAULT);
        local_only = drop == DROP_PAGE_LOCAL;
        addressed = main_wanted && !fill;
        busy = touch || fill || pde_touch || pde_fill || drop != DROP_NONE;
        sweeps = drop != DROP_NONE && (!addressed || FRAGMENTS != 0 || HAS_PDE != 0);
        match_4k = '0;
        match_large = '0;
        match_1g = '0;
        match_pde = '0;
        met = '0;
        set = '0;
        key = '0;
        if (main_wanted || pde_wanted) begin
            for (int c = 0; c < ALL_CLASSES; c++) begin
                if (CLASSES[c] && (HAS_PDE != 0 && c == CLASS_PDE ? pde_wanted : main_wanted)) begin
                    set = c == CLASS_4K ? set_4k : c == CLASS_LARGE ? set_large : c == CLASS_1G ? set_1g : set_pde;
                    key = c == CLASS_4K ? key_4k : c == CLASS_LARGE ? key_large : c == CLASS_1G ? key_1g : key_pde;
                    met = '0;
                    for (int w = 0; w < WAYS; w++) begin
                        if (tag_q[32'(set) * WAYS + w][WORD_BITS-1:PCID_BITS] == key && valid_q[set][w]) begin
                            met[w] = (global_q[set][w] && !local_only) || (!(global_q[set][w] && local_only) &&
                                tag_q[32'(set) * WAYS + w][PCID_BITS-1:0] == pcid[PCID_BITS-1:0]);
                        end
                    end
                    case (c)
                        CLASS_4K: match_4k = met;
                        CLASS_LARGE: match_large = met;
                        CLASS_1G: match_1g = met;
                        default: match_pde = met;
                    endcase
                end
            end
        end
    end

    // ---- the PDE's entry of the second level comes before the leaf's ----
    logic pde_op;
    logic [WAY_BITS-1:0] pde_slot_way;
    logic [WAYS-1:0] pde_select;
    logic [STATE_BITS-1:0] pde_state;   // row of the PDE's set afterwards
    generate
        if (HAS_PDE != 0) begin : g_pde
            /* verilator lint_off UNUSEDSIGNAL */
            logic [STATE_BITS-1:0] reset_again;
            /* verilator lint_on UNUSEDSIGNAL */
            logic [STATE_BITS-1:0] state_now;
            logic [WAYS-1:0] valid_now;
            assign pde_op = pde_touch || pde_fill;
            always_comb begin : now
                state_now = '0;
                valid_now = '0;
                if (pde_op) begin
                    state_now = state_q[REPLACEMENT == 2 ? 0 : 32'(set_pde)];
                    valid_now = valid_q[set_pde];
                end
            end
            fill_way #(.POLICY(REPLACEMENT), .WAYS(WAYS), .WAY_BITS(WAY_BITS), .STATE_BITS(STATE_BITS),
                .START(SEED ^ NUMBER)) u_way (
                `MUT_CONNECT .touch(pde_touch), .touch_way(pde_way[WAY_BITS-1:0]), .fill(pde_fill), .match(match_pde),
                .valid(valid_now), .state(state_now), .way(pde_slot_way), .select(pde_select), .state_next(pde_state),
                .state_reset(reset_again));
        end else begin : g_no_pde
            assign pde_op = 1'b0;
            assign pde_slot_way = '0;
            assign pde_select = '0;
            assign pde_state = '0;
        end
    endgenerate

    // ---- the main entry: a page's, or a paging-structure cache's ----
    logic main_touch, main_fill;
    logic [SET_BITS-1:0] main_set;
    logic [WAYS-1:0] main_match, main_valid, main_select;
    logic [KEY_BITS-1:0] main_key;
    logic [WAY_BITS-1:0] main_way;
    logic [STATE_BITS-1:0] main_state, main_next, state_reset;
    always_comb begin : main
        main_touch = 1'b0;
        main_fill = 1'b0;
        main_set = '0;
        main_match = '0;
        main_valid = '0;
        main_key = '0;
        main_state = '0;
        if ((touch || fill) && MAIN[32'(op_class)]) begin
            main_touch = touch && `MUT(3, 1'b1, 1'b0);
            main_fill = fill;
            for (int c = 0; c < ALL_CLASSES; c++) begin
                if (MAIN[c] && (COUNT == 1 || op_class == 2'(c))) begin
                    main_set = c == CLASS_4K ? set_4k : c == CLASS_LARGE ? set_large : c == CLASS_1G ? set_1g : set_pde;
                    main_key = c == CLASS_4K ? key_4k : c == CLASS_LARGE ? key_large : c == CLASS_1G ? key_1g : key_pde;
                    main_match = c == CLASS_4K ? match_4k : c == CLASS_LARGE ? match_large :
                        c == CLASS_1G ? match_1g : match_pde;
                end
            end
            main_state = state_q[REPLACEMENT == 2 ? 0 : 32'(main_set)];
            if (fill) begin
                main_valid = valid_q[main_set];
            end
            if (pde_op && (REPLACEMENT == 2 || set_pde == main_set)) begin
                main_state = pde_state;
            end
            if (pde_op && set_pde == main_set) begin
                main_valid = (main_valid & ~match_pde) | pde_select;
                main_match = main_match & ~pde_select;
            end
        end
    end
    fill_way #(.POLICY(REPLACEMENT), .WAYS(WAYS), .WAY_BITS(WAY_BITS), .STATE_BITS(STATE_BITS),
        .START(SEED ^ NUMBER)) u_way (
        `MUT_CONNECT .touch(main_touch), .touch_way(touch_way[WAY_BITS-1:0]), .fill(main_fill), .match(main_match),
        .valid(main_valid), .state(main_state), .way(main_way), .select(main_select), .state_next(main_next),
        .state_reset(state_reset));

    // ---- registers ----
    // A sweep works on all sets at once; everything else on the address's set of each class.
    /* verilator lint_off BLKSEQ */
    logic [WAYS-1:0] keep;          // of a set's valid bits; this and the next are variables of valid_bits alone
    logic [SET_BITS-1:0] one_set;
    always_ff @(posedge clk) begin : registers
        if (!rst_n) begin
            for (int s = 0; s < SETS; s++) begin
                valid_q[s] <= '0;
            end
            for (int s = 0; s < ROWS; s++) begin
                state_q[s] <= state_reset;
            end
        end else if (busy) begin
            if (sweeps) begin
                for (int s = 0; s < SETS; s++) begin
                    keep = '0;
                    if (addressed) begin
                        keep = FRAGMENTS != 0 && `MUT(48, 1'b1, 1'b0) ? ~fragment_q[s] : '1;
                        if (HAS_PDE != 0 && drop != DROP_FAULT) begin
                            keep = keep & ~is_pde_q[s];
                        end
                        if (CLASSES[0] && 32'(set_4k) == s) keep = keep & ~match_4k;
                        if (CLASSES[1] && 32'(set_large) == s) keep = keep & ~match_large;
                        if (CLASSES[2] && 32'(set_1g) == s) keep = keep & ~match_1g;
                        if (CLASSES[3] && 32'(set_pde) == s) keep = keep & ~match_pde;
                    end else if (drop != DROP_ALL) begin
                        keep = global_q[s];
                        for (int w = 0; w < WAYS; w++) begin
                            if (drop != DROP_NONGLOBAL && tag_q[s * WAYS + w][PCID_BITS-1:0] != pcid[PCID_BITS-1:0]) begin
                                keep[w] = 1'b1;
                            end
                        end
                    end
                    valid_q[s] <= valid_q[s] & keep;
                end
            end else if (main_wanted || pde_wanted) begin
                for (int c = 0; c < ALL_CLASSES; c++) begin
                    if (CLASSES[c]) begin
                        one_set = c == CLASS_4K ? set_4k : c == CLASS_LARGE ? set_large : c == CLASS_1G ? set_1g : set_pde;
                        keep = '1;
                        if (CLASSES[0] && (c == CLASS_4K || set_4k == one_set)) keep = keep & ~match_4k;
                        if (CLASSES[1] && (c == CLASS_LARGE || set_large == one_set)) keep = keep & ~match_large;
                        if (CLASSES[2] && (c == CLASS_1G || set_1g == one_set)) keep = keep & ~match_1g;
                        if (CLASSES[3] && (c == CLASS_PDE || set_pde == one_set)) keep = keep & ~match_pde;
                        valid_q[one_set] <= (valid_q[one_set] & keep) |
                            (HAS_PDE != 0 && set_pde == one_set ? pde_select : '0) |
                            (main_set == one_set ? main_select : '0);
                    end
                end
            end
            if (HAS_PDE != 0 && pde_op) begin
                state_q[REPLACEMENT == 2 ? 0 : 32'(set_pde)] <= pde_state;
                if (pde_fill) begin
                    tag_q[32'(set_pde) * WAYS + 32'(pde_slot_way)] <= {key_pde, pcid[PCID_BITS-1:0]};
                    global_q[set_pde][pde_slot_way] <= 1'b0;
                    is_pde_q[set_pde][pde_slot_way] <= 1'b1;
                end
            end
            if (main_touch || main_fill) begin
                state_q[REPLACEMENT == 2 ? 0 : 32'(main_set)] <= main_next;
            end
            if (main_fill) begin
                tag_q[32'(main_set) * WAYS + 32'(main_way)] <= {main_key, pcid[PCID_BITS-1:0]};
                global_q[main_set][main_way] <= fill_global;
                if (FRAGMENTS != 0) begin
                    fragment_q[main_set][main_way] <= fill_fragment;
                end
                if (HAS_PDE != 0) begin
                    is_pde_q[main_set][main_way] <= 1'b0;
                end
            end
        end
    end
    /* verilator lint_on BLKSEQ */

    // ---- what the entries translate to ----
    generate
        if (LEVEL == 2) begin : g_rows
            logic [SET_BITS-1:0] read_set;
            always_comb begin : choose_row
                read_set = debug_set[SET_BITS-1:0];
                if (read) begin
                    for (int c = 0; c < ALL_CLASSES; c++) begin
                        if (CLASSES[c] && read_step == POSITION[c*2 +: 2]) begin
                            read_set = c == CLASS_4K ? set_4k : c == CLASS_LARGE ? set_large : c == CLASS_1G ? set_1g :
                                set_pde;
                        end
                    end
                end
            end
            tlb_rows #(.SETS(SETS), .WAYS(WAYS), .SET_BITS(SET_BITS), .WAY_BITS(WAY_BITS), .PA_BITS(PA_BITS),
                .FRAME_LOW(FRAME_LOW), .BOTH(HAS_PDE != 0 && MAIN != 0 ? 1 : 0)) u_rows (
                .clk(clk), .rst_n(rst_n), .read((read && COUNT > 32'(read_step)) || debug_read), .read_set(read_set),
                .select(entry_use || debug_read), .way(debug_read ? debug_way : entry_way), .entry(hit_entry),
                .write(main_fill), .write_set(main_set), .write_way(main_way), .write_entry(fill_entry),
                .first_write(pde_fill), .first_set(set_pde), .first_way(pde_slot_way), .first_entry(pde_entry));
        end else begin : g_words
            tlb_words #(.SLOTS(SETS * WAYS), .SLOT_BITS(SLOT_BITS), .PA_BITS(PA_BITS), .FRAME_LOW(FRAME_LOW)) u_words (
                .clk(clk), .read(hit || debug_read), .slot(hit_slot), .entry(hit_entry), .write(main_fill),
                .write_slot(SLOT_BITS'(32'(main_set) * WAYS + 32'(main_way))), .write_entry(fill_entry));
        end
    endgenerate

    always_comb begin : debug_port
        debug_word = '0;
        if (debug_read) begin
            case (debug_field)
                2'd0: debug_word = 64'(valid_q[debug_set[SET_BITS-1:0]]);
                2'd1: begin
                    debug_word[35:0] = 36'(tag_q[hit_slot][PCID_BITS +: TAG_BITS]);
                    if (INDEX_BITS != 0) begin
                        debug_word[35:0] = (debug_word[35:0] << INDEX_BITS) | 36'(debug_set[SET_BITS-1:0]);
                    end
                    debug_word[51:36] = {
                        FRAGMENTS != 0 && fragment_q[debug_set[SET_BITS-1:0]][debug_way[WAY_BITS-1:0]],
                        global_q[debug_set[SET_BITS-1:0]][debug_way[WAY_BITS-1:0]],
                        COUNT > 1 ? tag_q[hit_slot][WORD_BITS-1 -: 2] : ONLY_CLASS,
                        12'(tag_q[hit_slot][PCID_BITS-1:0])};
                end
                default: debug_word = 64'(hit_entry);
            endcase
        end
    end

    always_ff @(posedge clk) begin : rules
        if (rst_n) begin
            // An array takes one kind of change at a time, and what hits is dropped before it is filled elsewhere.
            assert (!(touch && fill));
            assert (drop == DROP_NONE || !(fill || touch || pde_op));
            // A filled entry answers in the next cycle, a dropped one does not.
            if ($past(rst_n) && look && LEVEL != 2 && $past(va) == va && $past(va_large) == va_large) begin
                if ($past(main_fill) && $past(drop) == DROP_NONE && $past(pcid) == pcid) begin
                    assert (hit);
                end
                if ($past(drop) == DROP_ALL || ($past(drop) == DROP_FAULT && $past(pcid) == pcid)) begin
                    assert (!hit);
                end
            end
        end
    end
endmodule
`default_nettype wire
