// Replacement of one set, as functions of the set's state; included by tlb_array.sv inside the module, whose WAYS,
// WAY_BITS, STATE_BITS and REPLACEMENT they use.
//
// 0, true LRU: a rank for each way, 0 = most recently touched. A touch gives the way rank 0 and moves every way that was
// younger than it one up. Any permutation will do at reset: a victim is asked for only when all ways are valid, so each
// has been touched since.
// 1, tree pseudo-LRU: the nodes of a binary tree over the ways, rounded up to a power of two, in heap order (node 1 is
// the root, the children of n are 2n and 2n+1; bit n-1 holds node n). 0 points to the lower half, 1 to the upper. A touch
// makes every node on the way's path point away from it; the victim is where the pointers lead, and a half without ways is
// not entered.
// 2, random: one state for the array, a 16-bit Galois LFSR, x^16 + x^14 + x^13 + x^11 + 1, that steps once for each victim
// taken. The victim is (new state * WAYS) >> 16.

function automatic logic [15:0] stepped(input logic [15:0] state);
    stepped = {1'b0, state[15:1]} ^ (state[0] ? 16'hB400 : 16'h0000);
endfunction

function automatic logic [WAY_BITS-1:0] victim_of(input logic [STATE_BITS-1:0] state);
    logic [WAY_BITS-1:0] node;
    logic [WAY_BITS:0] upper;
    logic [(1<<WAY_BITS)-1:0] tree;     // node n at bit n: an index from 1 would be a subtraction
    logic [22:0] product;
    logic pointer;
    victim_of = '0;
    tree = (1<<WAY_BITS)'({state, 1'b0});
    node = WAY_BITS'(1);
    upper = '0;
    product = '0;
    pointer = 1'b0;
    if (REPLACEMENT == 2) begin
        product = {7'd0, `MUT(24, stepped(16'(state)), 16'(state))} * 23'(WAYS);
        victim_of = WAY_BITS'(product >> 16);
    end else if (WAYS > 1 && REPLACEMENT == 1) begin
        for (int level = WAY_BITS - 1; level >= 0; level--) begin
            upper = {1'b0, victim_of} | (WAY_BITS+1)'(1 << level);
            pointer = (tree[node] ^ `MUT(24, 1'b0, 1'b1)) && upper < (WAY_BITS+1)'(WAYS);
            victim_of[level] = pointer;
            node = (node << 1) | WAY_BITS'(pointer);
        end
    end else if (WAYS > 1) begin
        for (int w = 0; w < WAYS; w++) begin
            if (state[w*WAY_BITS +: WAY_BITS] == `MUT(24, WAY_BITS'(WAYS - 1), '0)) begin
                victim_of = WAY_BITS'(w);
            end
        end
    end
endfunction

function automatic logic [STATE_BITS-1:0] touched(input logic [STATE_BITS-1:0] state, input logic [WAY_BITS-1:0] way);
    logic [WAY_BITS-1:0] old_rank;
    logic [WAY_BITS-1:0] node;
    /* verilator lint_off UNUSEDSIGNAL */
    logic [(1<<WAY_BITS)-1:0] tree;
    /* verilator lint_on UNUSEDSIGNAL */
    touched = state;
    tree = (1<<WAY_BITS)'({state, 1'b0});
    old_rank = '0;
    node = WAY_BITS'(1);
    if (WAYS > 1 && REPLACEMENT == 1) begin
        for (int level = WAY_BITS - 1; level >= 0; level--) begin
            tree[node] = !way[level];
            node = (node << 1) | WAY_BITS'(way[level]);
        end
        touched = STATE_BITS'(tree[(1<<WAY_BITS)-1:1]);
    end else if (WAYS > 1 && REPLACEMENT == 0) begin
        old_rank = state[32'(way)*WAY_BITS +: WAY_BITS];
        if (old_rank != '0) begin
            for (int w = 0; w < WAYS; w++) begin
                if (state[w*WAY_BITS +: WAY_BITS] < old_rank) begin
                    touched[w*WAY_BITS +: WAY_BITS] = state[w*WAY_BITS +: WAY_BITS] + 1'b1;
                end
            end
            touched[32'(way)*WAY_BITS +: WAY_BITS] = '0;
        end
    end
endfunction

function automatic logic [STATE_BITS-1:0] untouched(input int start);
    untouched = '0;
    if (REPLACEMENT == 2) begin
        untouched = start == 0 ? STATE_BITS'(1) : STATE_BITS'(start);
    end else if (WAYS > 1 && REPLACEMENT == 0) begin
        for (int w = 0; w < WAYS; w++) begin
            untouched[w*WAY_BITS +: WAY_BITS] = WAY_BITS'(w);
        end
    end
endfunction

// Which way a fill takes: the lowest that matches, else the lowest invalid one, else the victim. Bit WAY_BITS of the answer:
// it was the victim.
function automatic logic [WAY_BITS:0] fill_way(
    input logic [WAYS-1:0] match, input logic [WAYS-1:0] valid, input logic [STATE_BITS-1:0] state);
    fill_way = {1'b1, victim_of(state)};
    for (int w = WAYS - 1; w >= 0; w--) begin
        if (!valid[w]) begin
            fill_way = {1'b0, WAY_BITS'(w)};
        end
    end
    for (int w = WAYS - 1; w >= 0; w--) begin
        if (match[w] && `MUT(2, 1'b1, 1'b0)) begin
            fill_way = {1'b0, WAY_BITS'(w)};
        end
    end
endfunction
