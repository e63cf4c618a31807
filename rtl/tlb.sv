// One set-associative TLB array for one page size. mmu.sv has four: instruction and data side, 4 KB and 4 MB pages.
// Every operation works on the one address at `va`: look it up, touch the way it hit, fill it, drop it. An entry keeps
// raw rights and the frame. The flushes work on all sets at once.
//
//   cycle        t       t+1
//   va           <  A  >            register of the request
//   hit, frame   <  A  >            combinational in t
//   touch|fill   __/---\___         replacement state and entry written at the end of t
//   drop|flush   __/---\___         valid bits written at the end of t
//   hit (same A)         <new>      the new state answers in t+1
//
// A fill takes the way that already holds the page, else the lowest-numbered invalid way, else the victim; it touches
// the way. Drop and flush leave the replacement state alone.
`default_nettype none
`include "mmu_types.svh"

module tlb #(
    parameter int SETS = 16,
    parameter int WAYS = 4,
    parameter int PAGE_SHIFT = SHIFT_4K,
    parameter int REPLACEMENT = 0  // 0 = true LRU, 1 = tree pseudo-LRU
) (
    input logic clk,
    input logic rst_n,
    `MUT_PORT
    input logic [VA_BITS-1:PAGE_SHIFT] va,
    // lookup; without enable it answers no hit and zeros
    input logic enable,
    output logic hit,
    output logic [PA_BITS-1:PAGE_SHIFT] hit_frame,
    output rights_t hit_rights,
    // changes
    input logic touch,            // the way that `va` hits was used
    input logic fill,
    input logic [PA_BITS-1:PAGE_SHIFT] fill_frame,
    input rights_t fill_rights,
    input logic drop,             // forget `va`
    input logic flush_all,
    input logic flush_nonglobal,
    // debug: one entry, in the same cycle; zeros unless selected
    input logic debug_select,
    input logic [9:0] debug_set,
    input logic [5:0] debug_way,
    output logic debug_valid,
    output logic [VA_BITS-1:0] debug_va,
    output logic [PA_BITS-1:0] debug_pa,
    output rights_t debug_rights
);
    localparam int INDEX_BITS = $clog2(SETS);
    localparam int SET_BITS = INDEX_BITS == 0 ? 1 : INDEX_BITS;
    localparam int WAY_BITS = WAYS == 1 ? 1 : $clog2(WAYS);
    localparam int SLOT_BITS = SETS * WAYS == 1 ? 1 : $clog2(SETS * WAYS);
    localparam int VPN_BITS = VA_BITS - PAGE_SHIFT;
    localparam int TAG_BITS = VPN_BITS - INDEX_BITS;
    localparam int FRAME_BITS = PA_BITS - PAGE_SHIFT;
    localparam int ENTRY_WIDTH = TAG_BITS + FRAME_BITS + 3;
    localparam int STATE_BITS = REPLACEMENT == 0 ? WAYS * WAY_BITS : (WAYS == 1 ? 1 : WAYS - 1);

    // Slot = set * WAYS + way. The entries are words of a RAM; what a flush changes or reads at once are flip-flops.
    logic [ENTRY_WIDTH-1:0] entry_q [0:SETS*WAYS-1];  // tag, frame, D, US, RW
    logic [SETS*WAYS-1:0] valid_q;
    logic [SETS*WAYS-1:0] global_q;
    logic [STATE_BITS-1:0] state_q [0:SETS-1];

    logic [SET_BITS-1:0] set;
    logic [TAG_BITS-1:0] tag;
    logic [SLOT_BITS-1:0] base;
    logic [WAYS-1:0] valid, match;
    logic [ENTRY_WIDTH-1:0] debug_entry;
    logic [WAY_BITS-1:0] hit_way, touch_way, victim;
    logic [SLOT_BITS-1:0] touch_slot;
    logic [STATE_BITS-1:0] state_now, state_next, state_reset;
    logic update;
    logic [SLOT_BITS-1:0] debug_slot;
    logic [VPN_BITS-1:0] debug_vpn;

    generate
        if (INDEX_BITS == 0) begin : g_one_set
            assign set = '0;
        end else begin : g_sets
            assign set = va[PAGE_SHIFT +: INDEX_BITS];
        end
    endgenerate
    assign tag = va[VA_BITS-1 -: TAG_BITS];
    assign base = SLOT_BITS'(set) * SLOT_BITS'(WAYS);

    always_comb begin : lookup
        valid = '0;
        match = '0;
        hit_way = '0;
        hit_frame = '0;
        hit_rights = '0;
        if (enable) begin
            valid = valid_q[base +: WAYS];
            for (int w = 0; w < WAYS; w++) begin
                if (entry_q[base + SLOT_BITS'(w)][ENTRY_WIDTH-1 -: TAG_BITS] == tag && `MUT(1, valid[w], 1'b1)) begin
                    match[w] = 1'b1;
                    hit_way = hit_way | WAY_BITS'(w);
                end
            end
        end
        hit = match != '0;
        if (hit) begin
            hit_frame = entry_q[base + SLOT_BITS'(hit_way)][3 +: FRAME_BITS];
            hit_rights = {1'b0, entry_q[base + SLOT_BITS'(hit_way)][2:0]};
        end
    end

    always_comb begin : choose_way
        touch_way = hit_way;
        if (fill && `MUT(2, !hit, 1'b1)) begin
            touch_way = victim;
            for (int w = WAYS - 1; w >= 0; w--) begin
                if (!valid[w]) begin
                    touch_way = WAY_BITS'(w);
                end
            end
        end
    end
    assign touch_slot = base + SLOT_BITS'(touch_way);
    assign update = fill || `MUT(3, touch, 1'b0);
    assign state_now = update ? state_q[set] : '0;

    generate
        if (REPLACEMENT == 0) begin : g_lru
            replacement_lru #(.WAYS(WAYS), .WAY_BITS(WAY_BITS), .STATE_BITS(STATE_BITS)) u_replacement (
                `MUT_CONNECT .state(state_now), .touch(update), .way(touch_way), .state_next(state_next),
                .state_reset(state_reset), .victim(victim));
        end else begin : g_plru
            replacement_plru #(.WAYS(WAYS), .WAY_BITS(WAY_BITS), .STATE_BITS(STATE_BITS)) u_replacement (
                `MUT_CONNECT .state(state_now), .touch(update), .way(touch_way), .state_next(state_next),
                .state_reset(state_reset), .victim(victim));
        end
    endgenerate

    always_ff @(posedge clk) begin : valid_bits
        if (!rst_n || flush_all) begin
            valid_q <= '0;
        end else if (flush_nonglobal) begin
            valid_q <= valid_q & global_q;
        end else if (fill) begin
            valid_q[touch_slot] <= 1'b1;
        end else if (drop) begin
            // The lookup's comparison again, because a drop reaches arrays that were not asked to look up.
            for (int w = 0; w < WAYS; w++) begin
                if (entry_q[base + SLOT_BITS'(w)][ENTRY_WIDTH-1 -: TAG_BITS] == tag) begin
                    valid_q[base + SLOT_BITS'(w)] <= 1'b0;
                end
            end
        end
    end

    always_ff @(posedge clk) begin : entries
        if (fill) begin
            entry_q[touch_slot] <= {tag, fill_frame, fill_rights.d, fill_rights.us, fill_rights.rw};
            global_q[touch_slot] <= fill_rights.g;
        end
    end

    always_ff @(posedge clk) begin : replacement_state
        if (!rst_n) begin
            for (int s = 0; s < SETS; s++) begin
                state_q[s] <= state_reset;
            end
        end else if (update) begin
            state_q[set] <= state_next;
        end
    end

    assign debug_slot = SLOT_BITS'(32'(debug_set) * WAYS + 32'(debug_way));
    generate
        if (INDEX_BITS == 0) begin : g_debug_one_set
            assign debug_vpn = debug_entry[ENTRY_WIDTH-1 -: TAG_BITS];
        end else begin : g_debug_sets
            assign debug_vpn = {debug_entry[ENTRY_WIDTH-1 -: TAG_BITS], debug_set[SET_BITS-1:0]};
        end
    endgenerate
    always_comb begin : debug_port
        debug_entry = '0;
        debug_valid = 1'b0;
        debug_va = '0;
        debug_pa = '0;
        debug_rights = '0;
        if (debug_select) begin
            debug_entry = entry_q[debug_slot];
            debug_valid = valid_q[debug_slot];
            debug_va[VA_BITS-1:PAGE_SHIFT] = debug_vpn;
            debug_pa[PA_BITS-1:PAGE_SHIFT] = debug_entry[3 +: FRAME_BITS];
            debug_rights = {global_q[debug_slot], debug_entry[2:0]};
        end
    end

    always_ff @(posedge clk) begin : rules
        if (rst_n) begin
            // A page is in one way only: a second copy would answer with stale rights.
            assert ($onehot0(match));
            assert (!(touch && !hit));
            // A filled page answers in the next cycle, a dropped or flushed one does not.
            if ($past(rst_n) && $past(fill) && $past(va) == va && enable) begin
                assert (hit && hit_frame == $past(fill_frame));
            end
            if ($past(rst_n) && ($past(flush_all) || ($past(drop) && !$past(fill) && $past(va) == va))) begin
                assert (!hit);
            end
        end
    end
endmodule
`default_nettype wire
