// One set-associative array: of a TLB's first or second level, with entries of one or more classes, or a
// paging-structure cache. Tags, valid and global bits are flip-flops, so that any invalidation takes one cycle; what an
// entry translates to is flip-flops as well, or in the second level a RAM, which is read with a cycle's delay.
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
    input logic touch,               // the way `touch_way` of class `op_class`, one of its own, was used
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
    input logic change,              // there is one of these changes beside a touch
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
    localparam int SKIP = FRAME_LOW - 12;       // frame bits that are not kept
    localparam int BITS = PA_BITS - FRAME_LOW + ENTRY_LOW;
    localparam int ROWS = REPLACEMENT == 2 ? 1 : SETS;
    localparam int STATE_BITS = REPLACEMENT == 2 ? 16 : WAYS == 1 ? 1 : REPLACEMENT == 1 ? (1 << WAY_BITS) - 1 :
        WAYS * WAY_BITS;

    /* verilator lint_off UNUSEDSIGNAL */
    // Slot = set * WAYS + way. The tag word is class (if there are several), tag, PCID.
    logic [WORD_BITS-1:0] tag_q [0:SETS*WAYS-1];
    (* mem2reg *) logic [WAYS-1:0] valid_q [0:SETS-1];
    (* mem2reg *) logic [WAYS-1:0] global_q [0:SETS-1];
    (* mem2reg *) logic [WAYS-1:0] fragment_q [0:SETS-1];
    (* mem2reg *) logic [WAYS-1:0] is_pde_q [0:SETS-1];
    (* mem2reg *) logic [STATE_BITS-1:0] state_q [0:ROWS-1];
    // What the entries translate to: frame and low bits of entry_t. First level and paging-structure caches: words;
    // second level: rows, one a set, of which one stands in a register.
    logic [BITS-1:0] word_q [0:SETS*WAYS-1];
    logic [WAYS*BITS-1:0] rows_q [0:SETS-1];
    entry_t debug_entry;
    /* verilator lint_on UNUSEDSIGNAL */
`include "replacement.svh"

    // ---- set and key of the address in each class ----
    logic [SET_BITS-1:0] set_4k, set_large, set_1g, set_pde;
    logic [KEY_BITS-1:0] key_4k, key_large, key_1g, key_pde;
    localparam int SEVERAL = COUNT > 1 ? 1 : 0;
    tlb_key #(CLASS_4K, SEVERAL, INDEX_BITS, SET_BITS, TAG_BITS, KEY_BITS) u_key_4k (36'(va[VA_MAX-1:SHIFT_4K]), set_4k, key_4k);
    tlb_key #(CLASS_LARGE, SEVERAL, INDEX_BITS, SET_BITS, TAG_BITS, KEY_BITS) u_key_large (36'(va_large), set_large, key_large);
    tlb_key #(CLASS_1G, SEVERAL, INDEX_BITS, SET_BITS, TAG_BITS, KEY_BITS) u_key_1g (36'(va[VA_MAX-1:30]), set_1g, key_1g);
    tlb_key #(CLASS_PDE, SEVERAL, INDEX_BITS, SET_BITS, TAG_BITS, KEY_BITS) u_key_pde (36'(va_large), set_pde, key_pde);
    // ---- look-up: the smallest class, in it the lowest way; all loops run downwards so that the lowest wins ----
    logic [SET_BITS-1:0] look_set;
    logic [KEY_BITS-1:0] look_key;
    logic [SLOT_BITS-1:0] slot;
    logic [WAYS-1:0] look_valid;
    logic fetch;
    logic [BITS-1:0] word;
    entry_t look_entry;
    always_comb begin : lookup
        hit = 1'b0;
        hit_class = '0;
        hit_way = '0;
        hit_global = 1'b0;
        look_entry = '0;
        pde_hit = 1'b0;
        pde_hit_way = '0;
        debug_word = '0;
        slot = '0;
        look_set = '0;
        look_key = '0;
        look_valid = '0;
        word = '0;
        if (look) begin
            for (int c = ALL_CLASSES - 1; c >= 0; c--) begin
                if (CLASSES[c] && (LEVEL != 2 || step == POSITION[c*2 +: 2])) begin
                    look_set = c == CLASS_4K ? set_4k : c == CLASS_LARGE ? set_large : c == CLASS_1G ? set_1g : set_pde;
                    look_key = c == CLASS_4K ? key_4k : c == CLASS_LARGE ? key_large : c == CLASS_1G ? key_1g : key_pde;
                    look_valid = valid_q[look_set];
                    if (look_valid != '0 || `MUT(1, 1'b0, 1'b1)) begin  // an empty set costs nothing
                        for (int w = WAYS - 1; w >= 0; w--) begin
                            if (tag_q[32'(look_set) * WAYS + w][WORD_BITS-1:PCID_BITS] == look_key || `MUT(71, 1'b0,
                                (tag_q[32'(look_set) * WAYS + w][WORD_BITS-1:PCID_BITS] ^ look_key) >> 3 == '0)) begin
                                if (`MUT(1, look_valid[w], 1'b1) && (`MUT(70, global_q[look_set][w], global_q[look_set] != '0) || `MUT(34, 1'b0, c == CLASS_LARGE) ||
                                    tag_q[32'(look_set) * WAYS + w][PCID_BITS-1:0] == pcid[PCID_BITS-1:0])) begin
                                    if (HAS_PDE != 0 && c == CLASS_PDE) begin
                                        pde_hit = 1'b1;
                                        pde_hit_way = 6'(w);
                                    end else begin
                                        hit = 1'b1;
                                        hit_class = 2'(c);
                                        hit_way = 6'(w);
                                        hit_global = global_q[look_set][w];
                                        if (LEVEL != 2) word = word_q[32'(look_set) * WAYS + w];
                                    end
                                end
                            end
                        end
                    end
                end
            end
        end
        fetch = LEVEL != 2 && hit;
        if (debug_read) begin
            fetch = 1'b1;
            slot = SLOT_BITS'(32'(debug_set) * WAYS + 32'(debug_way));
            word = word_q[slot];
        end
        if (fetch) begin
            look_entry = (ENTRY_BITS'(word[BITS-1:ENTRY_LOW]) << (ENTRY_LOW + SKIP)) | ENTRY_BITS'(word[ENTRY_LOW-1:0]);
            if (debug_read) begin
                case (debug_field)
                2'd0: debug_word = 64'(valid_q[debug_set[SET_BITS-1:0]]);
                2'd1: begin
                    debug_word[35:0] = (36'(tag_q[slot][PCID_BITS +: TAG_BITS]) << INDEX_BITS) |
                        (INDEX_BITS == 0 ? 36'd0 : 36'(debug_set[SET_BITS-1:0]));
                    debug_word[51:36] = {FRAGMENTS != 0 && fragment_q[debug_set[SET_BITS-1:0]][debug_way[WAY_BITS-1:0]],
                        global_q[debug_set[SET_BITS-1:0]][debug_way[WAY_BITS-1:0]],
                        COUNT > 1 ? tag_q[slot][WORD_BITS-1 -: 2] : ONLY_CLASS, 12'(tag_q[slot][PCID_BITS-1:0])};
                end
                default: debug_word = LEVEL != 2 ? 64'(look_entry) : 64'(debug_entry);
                endcase
            end
        end
    end

    // ---- changes ----
    // All of them are worked out in one clocked block, in cycles that have some: an array that is left alone costs a
    // simulator next to nothing. The variables below are the block's own.
    /* verilator lint_off BLKSEQ */
    logic page_op, addressed, full;
    logic [SET_BITS-1:0] set, main_set;
    logic [KEY_BITS-1:0] key, main_key;
    logic [WAYS-1:0] match_4k, match_large, match_1g, match_pde, met, keep, valid, pde_select, main_select;
    logic [WAY_BITS-1:0] way;
    logic [STATE_BITS-1:0] state;
    // Of a set, the ways that the address meets in any class.
    function automatic logic [WAYS-1:0] met_in(input int s);
        met_in = (CLASSES[0] && 32'(set_4k) == s ? match_4k : '0) | (CLASSES[1] && 32'(set_large) == s ? match_large : '0) |
            (CLASSES[2] && 32'(set_1g) == s ? match_1g : '0) | (CLASSES[3] && 32'(set_pde) == s ? match_pde : '0);
    endfunction
    // The second level's RAM has one write port: the PDE's word waits (late) for the next cycle, in which nothing is filled and
    // no PDE is read; where there are no pages it need not.
    logic put, late_q;
    logic [SET_BITS-1:0] put_set, late_set_q;
    logic [WAY_BITS-1:0] put_way, late_way_q;
    logic [BITS-1:0] put_word, late_word_q, pde_word, fill_word;
    assign pde_word = {pde_entry[ENTRY_LOW+SKIP +: BITS-ENTRY_LOW], pde_entry[ENTRY_LOW-1:0]};
    assign fill_word = {fill_entry[ENTRY_LOW+SKIP +: BITS-ENTRY_LOW], fill_entry[ENTRY_LOW-1:0]};
    always_ff @(posedge clk) begin : changes
        late_q <= 1'b0;
        if (LEVEL == 2) begin
            {put, put_set, put_way, put_word} = {late_q, late_set_q, late_way_q, late_word_q};
        end
        if (!rst_n) begin
            for (int s = 0; s < SETS; s++) valid_q[s] <= '0;
            for (int s = 0; s < ROWS; s++) state_q[s] <= untouched(SEED ^ NUMBER);
        end else if (change || touch) begin
            // What the address meets in each class, where that matters.
            page_op = fill || drop == DROP_FAULT || (`MUT(97, LEVEL != 3, 1'b1) && (drop == DROP_PAGE || drop == DROP_PAGE_LOCAL));
            addressed = page_op && !fill;
            {match_4k, match_large, match_1g, match_pde} = '0;
            for (int c = 0; c < ALL_CLASSES; c++) begin
                if (CLASSES[c] && (HAS_PDE != 0 && c == CLASS_PDE ? pde_fill || drop == DROP_FAULT : page_op)) begin
                    set = c == CLASS_4K ? set_4k : c == CLASS_LARGE ? set_large : c == CLASS_1G ? set_1g : set_pde;
                    key = c == CLASS_4K ? key_4k : c == CLASS_LARGE ? key_large : c == CLASS_1G ? key_1g : key_pde;
                    met = '0;
                    for (int w = 0; w < WAYS; w++) begin
                        if (tag_q[32'(set) * WAYS + w][WORD_BITS-1:PCID_BITS] == key && valid_q[set][w]) begin
                            met[w] = global_q[set][w] ? drop != DROP_PAGE_LOCAL && `MUT(50, 1'b1, drop != DROP_PAGE) :
                                `MUT(5, 1'b1, !(c == CLASS_LARGE && drop == DROP_PAGE && va[20:12] != '0)) &&
                                tag_q[32'(set) * WAYS + w][PCID_BITS-1:0] == pcid[PCID_BITS-1:0];
                        end
                    end
                    if (c == CLASS_4K) match_4k = met;
                    if (c == CLASS_LARGE) match_large = met;
                    if (c == CLASS_1G) match_1g = met;
                    if (c == CLASS_PDE) match_pde = met;
                end
            end

            // The PDE's entry, before the leaf's.
            pde_select = '0;
            state = '0;
            if (HAS_PDE != 0 && (pde_touch || pde_fill)) begin
                state = state_q[REPLACEMENT == 2 ? 0 : 32'(set_pde)];
                way = pde_way[WAY_BITS-1:0];
                if (pde_fill) begin
                    {full, way} = fill_way(match_pde, valid_q[set_pde], state);
                    pde_select = WAYS'(1) << way;
                    tag_q[32'(set_pde) * WAYS + 32'(way)] <= {key_pde, pcid[PCID_BITS-1:0]};
                    global_q[set_pde][way] <= 1'b0;
                    is_pde_q[set_pde][way] <= 1'b1;
                    late_set_q <= set_pde;
                    late_way_q <= way;
                    late_word_q <= pde_word;
                    if (REPLACEMENT == 2 && full) state = STATE_BITS'(stepped(16'(state)));
                end
                state = touched(state, way);
                state_q[REPLACEMENT == 2 ? 0 : 32'(set_pde)] <= state;
            end

            // The page's, or a paging-structure cache's.
            {main_select, main_set, main_key} = '0;
            if ((fill || touch) && MAIN[{3'd0, op_class}]) begin
                met = '0;
                for (int c = 0; c < ALL_CLASSES; c++) begin
                    if (MAIN[c] && op_class == 2'(c)) begin
                        main_set = c == CLASS_4K ? set_4k : c == CLASS_LARGE ? set_large : c == CLASS_1G ? set_1g : set_pde;
                        main_key = c == CLASS_4K ? key_4k : c == CLASS_LARGE ? key_large : c == CLASS_1G ? key_1g : key_pde;
                        met = c == CLASS_4K ? match_4k : c == CLASS_LARGE ? match_large : c == CLASS_1G ? match_1g :
                            match_pde;
                    end
                end
                if (!(HAS_PDE != 0 && (pde_touch || pde_fill) && (REPLACEMENT == 2 || set_pde == main_set))) begin
                    state = state_q[REPLACEMENT == 2 ? 0 : 32'(main_set)];
                end
                way = touch_way[WAY_BITS-1:0];
                if (fill) begin
                    valid = valid_q[main_set];
                    if (HAS_PDE != 0 && set_pde == main_set) begin
                        valid = (valid & ~match_pde) | pde_select;
                        met = met & ~pde_select;
                    end
                    {full, way} = fill_way(met, valid, state);
                    main_select = WAYS'(1) << way;
                    tag_q[32'(main_set) * WAYS + 32'(way)] <= {main_key, pcid[PCID_BITS-1:0]};
                    global_q[main_set][way] <= fill_global;
                    fragment_q[main_set][way] <= fill_fragment;
                    is_pde_q[main_set][way] <= 1'b0;
                    if (LEVEL != 2) begin
                        word_q[32'(main_set) * WAYS + 32'(way)] <= fill_word;
                    end
                    if (REPLACEMENT == 2 && full) state = STATE_BITS'(stepped(16'(state)));
                end
                if (fill || `MUT(3, 1'b1, 1'b0)) begin
                    state_q[REPLACEMENT == 2 ? 0 : 32'(main_set)] <= touched(state, way);
                end
            end

            if (LEVEL == 2 && main_select != '0) begin
                {put, put_set, put_way, put_word} = {1'b1, main_set, way, `MUT(75, 1'b0, pde_fill) ? late_word_q : fill_word};
            end else if (LEVEL == 2 && CLASSES == 1 << CLASS_PDE && pde_fill) begin
                {put, put_set, put_way, put_word} = {1'b1, set_pde, way, pde_word};
            end
            if (HAS_PDE != 0) late_q <= CLASSES != 1 << CLASS_PDE && pde_fill && !(main_set == set_pde && (main_select & pde_select) != '0);

            // Valid bits: of all sets, or of the address's set of each class.
            if (drop != DROP_NONE && (!addressed || FRAGMENTS != 0 || HAS_PDE != 0)) begin
                for (int s = 0; s < SETS; s++) begin
                    keep = '0;
                    if (addressed) begin
                        keep = '1;
                        if (FRAGMENTS != 0 && `MUT(48, 1'b1, 1'b0)) keep = ~fragment_q[s];
                        if (HAS_PDE != 0 && drop != DROP_FAULT) keep = keep & ~is_pde_q[s];
                        keep = keep & ~met_in(s);
                    end else if (drop != DROP_ALL || `MUT(61, 1'b0, CLASSES[1])) begin
                        keep = global_q[s];
                        for (int w = 0; w < WAYS; w++) begin
                            if (drop != DROP_NONGLOBAL && tag_q[s * WAYS + w][PCID_BITS-1:0] != pcid[PCID_BITS-1:0])
                                keep[w] = 1'b1;
                        end
                    end
                    valid_q[s] <= valid_q[s] & keep;
                end
            end else if (page_op || pde_fill) begin
                for (int c = 0; c < ALL_CLASSES; c++) begin
                    if (CLASSES[c]) begin
                        set = c == CLASS_4K ? set_4k : c == CLASS_LARGE ? set_large : c == CLASS_1G ? set_1g : set_pde;
                        valid_q[set] <= (valid_q[set] & ~`MUT(2, met_in(32'(set)), fill ? '0 : met_in(32'(set)))) |
                            (main_set == set ? main_select : '0) |
                            (HAS_PDE != 0 && set_pde == set ? pde_select : '0);
                    end
                end
            end
        end
        if (LEVEL == 2 && put) rows_q[put_set][32'(put_way)*BITS +: BITS] <= put_word;
    end
    /* verilator lint_on BLKSEQ */

    generate
        if (LEVEL == 2) begin : g_row
            logic [WAYS*BITS-1:0] row_q;
            logic [BITS-1:0] picked;
            entry_t debug_entry_q;
            assign debug_entry = debug_entry_q;
            always_ff @(posedge clk) begin : read_row
                if (read || debug_read) begin
                    row_q <= rows_q[!read ? debug_set[SET_BITS-1:0] :
                        CLASSES[0] && read_step == POSITION[1:0] ? set_4k :
                        CLASSES[1] && read_step == POSITION[3:2] ? set_large :
                        CLASSES[2] && read_step == POSITION[5:4] ? set_1g : set_pde];
                end
                if (debug_read) debug_entry_q <= hit_entry;
            end
            always_comb begin : pick
                picked = '0;
                if (entry_use) picked = row_q[32'(entry_way)*BITS +: BITS];
                else if (debug_read) picked = row_q[32'(debug_way)*BITS +: BITS];
                hit_entry = (ENTRY_BITS'(picked[BITS-1:ENTRY_LOW]) << (ENTRY_LOW + SKIP)) |
                    ENTRY_BITS'(picked[ENTRY_LOW-1:0]);
            end
        end else begin : g_word
            assign hit_entry = look_entry;
            assign debug_entry = '0;
        end
    endgenerate

    always_ff @(posedge clk) begin : rules
        if (rst_n) begin
            // An array takes one kind of change at a time, and is told of it.
            assert (!(touch && fill));
            assert (LEVEL != 2 || !(late_q && (fill || pde_fill)));
            assert (drop == DROP_NONE || !(fill || touch || pde_touch || pde_fill));
            assert (change || !(fill || pde_touch || pde_fill || drop != DROP_NONE));
            // A filled entry answers in the next cycle, a dropped one does not.
            if ($past(rst_n) && look && LEVEL != 2 && $past(va) == va && $past(va_large) == va_large && $past(pcid) == pcid) begin
                assert (hit || !($past(fill) && MAIN[{3'd0, $past(op_class)}]));
                assert (!hit || !($past(drop) == DROP_ALL || $past(drop) == DROP_FAULT));
            end
        end
    end
endmodule
`default_nettype wire
