// The page walker as the proofs see it: walker.sv with entry_check.sv and permission.sv, in every paging mode and for every
// kind of access, in a world that starts walks and answers with what it likes after any number of cycles. Beside it an
// independent judge, written from the SDM and not from the walker: what should come of the entries read since the walk
// began or began anew?
//
// Entries have the bits that mean something, and of the reserved and address bits one of each kind:
// 0 P, 1 RW, 2 US, 5 A, 6 D, 7 PS, 8 G, 12 PAT of a large page, 13, 14, 21, 40, 51, 62 and 63 NX.
`default_nettype none
`include "mmu_types.svh"

module small_walker (
    input logic clk,
    input logic rst_n,
    // what the world chooses
    input logic begin_walk,
    input logic [1:0] begin_mode,        // 0 = 32-bit, 1 = PAE, else 4-level
    input logic [6:0] begin_bits,        // PSE, NXE, WP, SMEP, SMAP, AC, PGE
    input logic [3:0] begin_features,    // 1 GB pages, PSE-36, PAT; whether bit 40 is beyond MAXPHYADDR
    input logic [1:0] begin_type,
    input logic [1:0] begin_as,
    input logic [1:0] begin_below,       // levels that a cached start leaves out
    input logic [2:0] begin_rights,
    input logic begin_present,           // the PDPTE register is
    input logic answer,
    input logic [14:0] answer_bits,
    // the walk
    output logic start,
    output mmu_type_t access_type,
    output mmu_mode_t mode,
    output paging_t paging,
    output logic busy,
    output logic done,
    output logic fault,
    output logic fault_present,
    output logic fault_reserved,
    output logic mem_valid,
    output logic mem_exchange,
    output logic [2:0] mem_level,
    output logic [63:0] mem_expected,
    output logic [63:0] mem_desired,
    output logic answer_valid,
    output logic [63:0] answer_data,
    output logic pending,                // the memory owes an answer
    output logic exchange_q,             // that to an exchange
    output logic restart,
    // the judge, valid in the cycle in which an entry is answered
    output logic judged,                 // the entries read so far decide
    output logic must_fault,
    output logic must_present,
    output logic must_reserved,
    output logic [2:0] leaf_level        // of the last entry read: once judged to allow the access, the leaf's
);
    logic begins, large_1g, pse36, has_pat, beyond_40;
    paging_t paging_q;
    mmu_type_t type_q;
    mmu_mode_t mode_q;
    logic [5:0] features_q;
    logic root_present_q;
    logic [2:0] start_level_q, root_level_q, start_rights_q;
    logic [CPU_FEATURES-1:0] features;
    logic [51:32] beyond;
    logic leaf_found, leaf_global, committed;
    logic [1:0] leaf_class;
    logic [15:0] restarts;
    logic [4:2] tables;
    logic [51:12] frame_2, frame_3, frame_4;
    rights_t rights_2, rights_3, rights_4;
    entry_t leaf_entry;
    logic [PA_MAX-1:0] mem_pa;
`ifdef MUTATE
    wire [31:0] mut_sel = `MUTANT;
`endif

    // ---- the world: a request is prepared in one cycle and walked from the next ----
    logic ready_q;
    always_comb begin : world
        begins = begin_walk && !busy && !ready_q;
        start = ready_q;
        large_1g = features_q[0];
        pse36 = features_q[1];
        has_pat = features_q[2];
        beyond_40 = features_q[3];
        features = '0;
        features[CPU_1G] = large_1g;
        features[CPU_PSE36] = pse36;
        features[CPU_PAT] = has_pat;
        beyond = '0;
        beyond[51] = 1'b1;
        beyond[40] = beyond_40;
        paging = paging_q;
        access_type = type_q;
        mode = mode_q;
        answer_valid = answer && pending;
        answer_data = '0;
        answer_data[2:0] = answer_bits[2:0];
        answer_data[8:5] = answer_bits[6:3];
        answer_data[14:12] = answer_bits[9:7];
        answer_data[21] = answer_bits[10];
        if (paging.pae) begin
            answer_data[40] = answer_bits[11];
            answer_data[51] = answer_bits[12];
            answer_data[62] = answer_bits[13];
            answer_data[63] = answer_bits[14];
        end
    end

    always_ff @(posedge clk) begin : request
        if (!rst_n) begin
            ready_q <= 1'b0;
            pending <= 1'b0;
        end else begin
            ready_q <= begins;
            pending <= mem_valid || (pending && !answer_valid);
        end
        if (mem_valid) begin
            exchange_q <= mem_exchange;
        end
        if (begins) begin
            paging_q <= '0;
            paging_q.pg <= 1'b1;
            paging_q.lma <= begin_mode[1];
            paging_q.pae <= begin_mode != 2'd0;
            paging_q.pse <= begin_bits[0];
            paging_q.nxe <= begin_bits[1] && begin_mode != 2'd0;
            paging_q.wp <= begin_bits[2];
            paging_q.smep <= begin_bits[3];
            paging_q.smap <= begin_bits[4];
            paging_q.ac <= begin_bits[5];
            paging_q.pge <= begin_bits[6];
            features_q <= {2'd0, begin_features};
            case (begin_type)
                2'd0: type_q <= TYPE_READ;
                2'd1: type_q <= TYPE_WRITE;
                2'd2: type_q <= TYPE_FETCH;
                default: type_q <= TYPE_MODIFY;
            endcase
            case (begin_as)
                2'd0: mode_q <= MODE_SUPERVISOR;
                2'd1: mode_q <= MODE_USER;
                default: mode_q <= MODE_IMPLICIT;
            endcase
            root_level_q <= begin_mode[1] ? 3'd4 : 3'd2;
            root_present_q <= begin_present || begin_mode != 2'd1;
            start_level_q <= begin_mode[1] ? 3'd4 - {1'b0, begin_below} : begin_below[0] ? 3'd1 : 3'd2;
            start_rights_q <= (begin_mode[1] ? begin_below == 2'd0 : !begin_below[0]) ? 3'b011 : begin_rights;
        end
    end

    walker u_walker (
        .clk(clk), .rst_n(rst_n), `MUT_CONNECT .start(start), .va(48'd0), .access_type(type_q), .mode(mode_q),
        .paging(paging_q), .features(features), .beyond(beyond), .start_level(start_level_q), .start_frame(40'd0),
        .start_rights(start_rights_q), .root_level(root_level_q), .root_frame(40'd0), .root_present(root_present_q),
        .busy(busy), .done(done), .fault(fault), .fault_present(fault_present), .fault_reserved(fault_reserved),
        .leaf_found(leaf_found), .leaf_class(leaf_class), .leaf_entry(leaf_entry), .leaf_global(leaf_global),
        .restarts(restarts), .tables(tables), .frame_2(frame_2), .frame_3(frame_3), .frame_4(frame_4),
        .rights_2(rights_2), .rights_3(rights_3), .rights_4(rights_4), .mem_valid(mem_valid),
        .mem_exchange(mem_exchange), .mem_level(mem_level), .mem_pa(mem_pa), .mem_expected(mem_expected),
        .mem_desired(mem_desired), .answer_valid(answer_valid), .answer(answer_data), .restart(restart),
        .committed(committed));

    // ---- the judge: SDM volume 3, 4.3 to 4.7, entry by entry. The level follows from the number of reads alone. ----
    logic [2:0] level_q;                 // of the read under way
    logic [2:0] read_level_q;            // of the last read
    logic r_q, w_q, x_q;                 // user, writable, not executable down to above that level
    logic decided_q, fault_q, present_q, reserved_q;
    logic is_leaf, is_reserved, user, writable, no_execute, denied, is_write, is_fetch, as_user;
    always_comb begin : judge
        is_write = type_q == TYPE_WRITE || type_q == TYPE_MODIFY;
        is_fetch = type_q == TYPE_FETCH;
        as_user = mode_q == MODE_USER;
        // 4.3: PS counts in a PDE of 32-bit paging with CR4.PSE. 4.4, 4.5: always; in a PDPTE with 1 GB pages.
        is_leaf = level_q == 3'd1;
        if (answer_data[7] && level_q == 3'd2) is_leaf = paging_q.pae || paging_q.pse;
        if (answer_data[7] && level_q == 3'd3) is_leaf = large_1g;
        is_reserved = 1'b0;
        if (!paging_q.pae) begin
            if (level_q == 3'd2 && is_leaf) begin
                // table 4-4; 12 is PAT, or reserved without it; 20:13 are 39:32 of the address with PSE-36
                is_reserved = answer_data[21] || (!pse36 && (answer_data[13] || answer_data[14])) || (answer_data[12] && !has_pat);
            end
            if (level_q == 3'd1) is_reserved = answer_data[7] && !has_pat && paging_q.pse;
        end else begin
            is_reserved = answer_data[51] || (answer_data[40] && beyond_40) || (answer_data[63] && !paging_q.nxe) ||
                (answer_data[62] && !paging_q.lma);
            if (answer_data[7]) begin
                if (level_q == 3'd4) is_reserved = 1'b1;
                if (level_q == 3'd3 && !large_1g) is_reserved = 1'b1;
                if (level_q == 3'd3 && large_1g && (answer_data[13] || answer_data[14] || answer_data[21])) is_reserved = 1'b1;
                if (level_q == 3'd2 && (answer_data[13] || answer_data[14])) is_reserved = 1'b1;
                if (is_leaf && level_q != 3'd1 && answer_data[12] && !has_pat) is_reserved = 1'b1;
                if (level_q == 3'd1 && !has_pat) is_reserved = 1'b1;
            end
        end
        // 4.6
        user = r_q && answer_data[2];
        writable = w_q && answer_data[1];
        no_execute = x_q || (answer_data[63] && paging_q.pae);
        denied = 1'b0;
        if (as_user) begin
            denied = !user || (is_write && !writable);
        end else begin
            denied = is_write && !writable && paging_q.wp;
            if (user && is_fetch && paging_q.smep) denied = 1'b1;
            if (user && !is_fetch && paging_q.smap && !(paging_q.ac && mode_q == MODE_SUPERVISOR)) denied = 1'b1;
        end
        if (is_fetch && no_execute && paging_q.nxe) denied = 1'b1;

        judged = decided_q;
        must_fault = fault_q;
        must_present = present_q;
        must_reserved = reserved_q;
        leaf_level = answer_valid && !exchange_q ? level_q : read_level_q;
        if (start && !root_present_q && start_level_q == root_level_q) begin
            judged = 1'b1;
            must_fault = 1'b1;
            must_present = 1'b0;
            must_reserved = 1'b0;
        end else if (start) begin
            judged = 1'b0;
        end else if (answer_valid && !exchange_q) begin
            judged = !answer_data[0] || is_reserved || is_leaf;
            must_fault = !answer_data[0] || is_reserved || (is_leaf && denied);
            must_present = answer_data[0];
            must_reserved = answer_data[0] && is_reserved;
        end
    end

    // An exchange that found another value than it expected.
    logic restarted;
    logic [63:0] offered_q;
    always_ff @(posedge clk) begin : exchange
        if (mem_valid) begin
            offered_q <= mem_expected;
        end
    end
    assign restarted = answer_valid && exchange_q && answer_data != offered_q;

    always_ff @(posedge clk) begin : judgement
        if (start) begin
            level_q <= start_level_q;
            {x_q, r_q, w_q} <= start_rights_q;
            decided_q <= 1'b0;
        end else if (answer_valid && !exchange_q) begin
            level_q <= level_q - 3'd1;
            read_level_q <= level_q;
            {x_q, r_q, w_q} <= {no_execute, user, writable};
            decided_q <= judged;
            fault_q <= must_fault;
            present_q <= must_present;
            reserved_q <= must_reserved;
        end else if (restarted) begin
            // an exchange failed: all is read anew from the root
            level_q <= root_level_q;
            {x_q, r_q, w_q} <= 3'b011;
            decided_q <= 1'b0;
        end
    end
endmodule
`default_nettype wire
