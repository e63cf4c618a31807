// The walkers beside the head's: each reads the tables for one younger request, down to a leaf or an entry that ends the
// walk, and keeps what it read. It judges no rights, exchanges nothing and fills nothing: when its request is the head and
// walks, each entry that walk wants to read and that was read here is not read again. So it does not matter where this
// one began, and the head's walk is the same as without it, but sooner.
//
// Two levels, L = 2; the request becomes the head and walks in cycle t + 7:
//   cycle          t     t+1   t+2   t+3   t+4   t+5   t+6   t+7   t+8   t+9
//   ahead_start    _/---\____________________________________________________
//   asks_q         _______/---\________________/---\_________________________
//   ahead_taken    _______/---\________________/---\_________________________      unless the head's access goes first
//   mem_rsp_valid  ___________________/---\__________________/---\___________
//   judges_q       _________________________/---\________________/---\_______      (t + 4, t + 8): next level, or the end
//   early_stored   ___________________________________________/---\__________      the PDE; the PTE in t + 8: early_stored
// Forgotten: with the answer to its request, at an invalidation or a fault, if its walk as the head starts anew, and if the
// head's walk exchanges an entry that was read here. What is under way then is awaited, and thrown away.
`default_nettype none
`include "mmu_types.svh"

module read_ahead #(
    parameter int WALKERS = 2
) (
    input logic clk,
    input logic rst_n,
    `MUT_PORT
    input paging_t paging,
    input logic [CPU_FEATURES-1:0] features,
    input logic [51:32] beyond,
    // a walk begins
    input logic looks,                   // somebody asks:
    output logic free,                   // a walker is
    output logic walked,                 // one for the page of ahead_va is under way
    input logic ahead_start,
    input logic [2:0] younger_slot,
    input logic [VA_MAX-1:0] ahead_va,
    input logic [2:0] start_level,
    input logic [51:12] start_frame,
    // what becomes of the requests
    input logic pop,
    input logic advance,
    input logic [2:0] first_slot,        // of the request that then becomes the head
    input logic begin_anew,              // all are forgotten
    // the head's walk
    /* verilator lint_off UNUSEDSIGNAL */
    input logic control,                 // no walk: a control-register write
    /* verilator lint_on UNUSEDSIGNAL */
    input logic walk_busy,
    input logic walk_mem,
    input logic mem_exchange,
    input logic [2:0] walk_level,
    input logic [PA_MAX-1:0] walk_pa,
    input logic walk_restart,
    output logic early_stored,           // the entry it wants to read was read here
    output logic early_waits,            // or is being read
    output logic [1:0] early_id,
    output logic [63:0] early_value,
    // memory
    output logic ahead_valid,
    output logic [1:0] ahead_id,
    output logic [2:0] ahead_level,
    output logic [PA_MAX-1:0] ahead_pa,
    input logic ahead_taken,
    input logic mem_rsp_valid,
    input logic [1:0] mem_rsp_id,
    input logic [63:0] mem_rsp_data
);
    localparam int COUNT = WALKERS - 1;
    localparam int NUMBER_BITS = COUNT > 2 ? 2 : 1;
    localparam int PLACES = 1 << NUMBER_BITS;

    // Of each walker; number k is memory's k + 1.
    logic [COUNT-1:0] live_q;            // not forgotten
    logic [COUNT-1:0] head_q;            // its request is the head
    logic [COUNT-1:0] asks_q;            // the next access waits for the port
    logic [COUNT-1:0] under_way_q;       // memory owes an answer
    logic [2:0] slot_q [0:PLACES-1];      // of the request in the queue's ring
    logic [VA_MAX-1:0] va_q [0:PLACES-1];
    logic [2:0] level_q [0:PLACES-1];     // of the access that is asked for, under way or judged
    logic [51:12] frame_q [0:PLACES-1];   // its table
    // What was read: k * 4 + level - 1.
    logic [COUNT*4-1:0] stored_q;
    logic [PA_MAX-1:0] pa_q [0:PLACES*4-1];
    logic [63:0] value_q [0:PLACES*4-1];
    logic judges_q;                      // an answer has come
    logic [NUMBER_BITS-1:0] judged_q;    // to this walker

    logic [COUNT-1:0] forgotten, exchanged;
    logic [NUMBER_BITS-1:0] free_number, asking, judged;
    logic [3:0] distance, nearest;
    logic entry_leaf, entry_reserved, next;
    logic [63:0] entry;
    logic [51:12] entry_frame;
    logic [2:0] entry_memory;

    // ---- a free walker; a walk of the same page ----
    always_comb begin : look
        free = 1'b0;
        free_number = '0;
        walked = 1'b0;
        if (looks) begin
            for (int k = COUNT - 1; k >= 0; k--) begin
                if (!live_q[k] && (!under_way_q[k] || `MUT(95, 1'b0, 1'b1))) begin
                    free = 1'b1;
                    free_number = NUMBER_BITS'(k);
                end
                if (live_q[k] && va_q[k][VA_MAX-1:12] == ahead_va[VA_MAX-1:12]) begin
                    walked = 1'b1;
                end
            end
        end
    end

    // ---- the next access: that of the oldest request; for the head's none any more once it walks itself ----
    always_comb begin : ask
        ahead_valid = 1'b0;
        asking = '0;
        distance = '0;
        nearest = '1;
        if (asks_q != '0 && !begin_anew) begin
            for (int k = 0; k < COUNT; k++) begin
                distance = head_q[k] ? 4'd0 : {1'b1, slot_q[k] - first_slot};
                if (asks_q[k] && !(head_q[k] && (walk_busy || pop)) && distance < nearest) begin
                    ahead_valid = 1'b1;
                    asking = NUMBER_BITS'(k);
                    nearest = distance;
                end
            end
        end
        ahead_id = 2'(asking) + 2'd1;
        ahead_level = level_q[asking];
    end

    table_address u_address (
        .enable(ahead_valid), .level(level_q[asking]), .frame(frame_q[asking]), .va(va_q[asking]), .pae(paging.pae),
        .pa(ahead_pa));

    // ---- the answer that came: is there another level? ----
    always_comb begin : judge
        judged = judges_q ? judged_q : '0;
        entry = '0;
        if (judges_q) begin
            entry = value_q[{judged, 2'(level_q[judged] - 3'd1)}];
        end
    end
    always_comb begin : go_on
        next = judges_q && live_q[judged] && entry[PTE_P] && !entry_reserved && !entry_leaf;
    end

    entry_check u_check (
        `MUT_CONNECT .enable(judges_q), .entry(entry), .level(level_q[judged]), .paging(paging), .features(features),
        .is_fetch(1'b0), .beyond(beyond), .leaf(entry_leaf), .reserved(entry_reserved), .frame(entry_frame),
        .memory(entry_memory));
    /* verilator lint_off UNUSEDSIGNAL */
    logic unused;
    /* verilator lint_on UNUSEDSIGNAL */
    assign unused = &{1'b0, entry_memory};

    // ---- what the head's walk wants to read ----
    always_comb begin : serve
        early_stored = 1'b0;
        early_waits = 1'b0;
        early_id = '0;
        early_value = '0;
        if (walk_mem && head_q != '0 && !mem_exchange && !`MUT(96, walk_restart, 1'b0)) begin
            for (int k = 0; k < COUNT; k++) begin
                if (head_q[k] && (pa_q[k * 4 + 32'(walk_level) - 1] == walk_pa || `MUT(93, 1'b0, 1'b1))) begin
                    early_id = 2'(k + 1);
                    early_stored = stored_q[k * 4 + 32'(walk_level) - 1];
                    early_waits = under_way_q[k] && level_q[k] == walk_level;
                    early_value = value_q[k * 4 + 32'(walk_level) - 1];
                end
            end
        end
    end

    always_comb begin : forget
        exchanged = '0;
        if (walk_mem && mem_exchange && live_q != '0) begin
            for (int k = 0; k < COUNT; k++) begin
                for (int l = 0; l < 4; l++) begin
                    if ((stored_q[k * 4 + l] || (under_way_q[k] && level_q[k] == 3'(l + 1))) && pa_q[k * 4 + l] == walk_pa) begin
                        exchanged[k] = `MUT(92, 1'b1, 1'b0);
                    end
                end
            end
        end
        forgotten = exchanged;
        if (begin_anew) begin
            forgotten = '1;
        end else if (pop || walk_restart) begin
            forgotten = exchanged | head_q;
        end
    end

    always_ff @(posedge clk) begin : registers
        judges_q <= rst_n && mem_rsp_valid && mem_rsp_id != 2'd0;
        judged_q <= NUMBER_BITS'(mem_rsp_id - 2'd1);
        if (live_q != '0 || under_way_q != '0 || ahead_start || !rst_n) begin
            for (int k = 0; k < COUNT; k++) begin
                if (mem_rsp_valid && mem_rsp_id == 2'(k + 1)) begin
                    under_way_q[k] <= 1'b0;
                    stored_q[k * 4 + 32'(level_q[k]) - 1] <= live_q[k];
                    value_q[k * 4 + 32'(level_q[k]) - 1] <= mem_rsp_data;
                end
                if (ahead_taken && asking == NUMBER_BITS'(k)) begin
                    asks_q[k] <= 1'b0;
                    under_way_q[k] <= 1'b1;
                    pa_q[k * 4 + 32'(level_q[k]) - 1] <= ahead_pa;
                end
                if (next && judged == NUMBER_BITS'(k)) begin
                    asks_q[k] <= 1'b1;
                    level_q[k] <= level_q[k] - 3'd1;
                    frame_q[k] <= entry_frame;
                end
                if (ahead_start && free_number == NUMBER_BITS'(k)) begin
                    live_q[k] <= 1'b1;
                    asks_q[k] <= 1'b1;
                    slot_q[k] <= younger_slot;
                    va_q[k] <= ahead_va;
                    level_q[k] <= start_level;
                    frame_q[k] <= start_frame;
                    stored_q[k*4 +: 4] <= '0;
                end
                if (advance && live_q[k] && slot_q[k] == first_slot) begin
                    head_q[k] <= 1'b1;
                end
                if (forgotten[k] || !rst_n) begin
                    live_q[k] <= 1'b0;
                    head_q[k] <= 1'b0;
                    asks_q[k] <= 1'b0;
                    stored_q[k*4 +: 4] <= '0;
                end
                if (!rst_n) begin
                    under_way_q[k] <= 1'b0;
                end
            end
        end
    end

    always_ff @(posedge clk) begin : rules
        if (rst_n) begin
            assert (!ahead_start || (free && !walked));
            // None is begun beyond a control-register write, so that none can meet one.
            assert (!(control && live_q != '0));
            for (int k = 0; k < COUNT; k++) begin
                // One access under way for each, which nobody else answers.
                assert (!(asks_q[k] && under_way_q[k]));
                assert (!(asks_q[k] || head_q[k]) || live_q[k]);
                assert (!(mem_rsp_valid && mem_rsp_id == 2'(k + 1)) || under_way_q[k]);
                // The head's own reads no more while its walk does.
                assert (!(ahead_taken && asking == NUMBER_BITS'(k) && head_q[k] && walk_busy));
                // Nothing is kept of a walk that was forgotten.
                assert (live_q[k] || stored_q[k*4 +: 4] == '0);
            end
        end
    end
endmodule
`default_nettype wire
