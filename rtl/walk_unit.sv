// The walk of the head request: the paging-structure caches say where it begins, the walker walks, and what the walk found
// goes back into the caches and, as the PDE's entry, into the second-level TLB.
//
//   cycle        t       …   end
//   start        __/---\__________
//   from_*       <where>                 combinational in t
//   done         ____________/---\__     in t already, if a PDPTE register is not present
//   fill         ____________/---\__     done without a fault and not invalidated meanwhile
`default_nettype none
`include "mmu_types.svh"

module walk_unit #(
    parameter int PDE_SETS = 1, parameter int PDE_WAYS = 0,
    parameter int PDPTE_SETS = 1, parameter int PDPTE_WAYS = 0,
    parameter int PML4E_SETS = 1, parameter int PML4E_WAYS = 0,
    parameter int VA_BITS = 32,
    parameter int PA_BITS = 40,
    parameter int PCID_BITS = 1,
    parameter int REPLACEMENT = 0,
    parameter int SEED = 1
) (
    input logic clk,
    input logic rst_n,
    `MUT_PORT
    /* verilator lint_off UNUSEDSIGNAL */
    input logic [VA_MAX-1:0] va,           // that the caches work on: an invalidation's in its cycle
    /* verilator lint_on UNUSEDSIGNAL */
    input logic [26:0] va_large,
    input logic [11:0] pcid,
    // the request
    input logic [VA_MAX-1:0] walk_va,
    input mmu_type_t access_type,
    input mmu_mode_t mode,
    input paging_t paging,
    input logic [CPU_FEATURES-1:0] features,
    input logic [51:32] beyond,
    input logic [51:12] cr3_frame,
    input logic [51:12] pdpte_frame,
    input logic pdpte_present,
    input logic start,
    input logic ahead_missed,              // a walk ahead (ahead.sv) asks where it begins
    input logic second_found,              // the second level has the PDE
    /* verilator lint_off UNUSEDSIGNAL */
    input entry_t second_entry,            // only frame and rights count
    /* verilator lint_on UNUSEDSIGNAL */
    input logic fill,
    input drop_t drop,
    // outcome, valid with done; see walker.sv
    output logic busy,
    output logic done,
    output logic fault,
    output logic fault_present,
    output logic fault_reserved,
    output logic leaf_found,
    output logic [1:0] leaf_class,
    output entry_t leaf_entry,
    output logic leaf_global,
    output logic [15:0] restarts,
    output logic [2:0] psc_level,          // of the cached entry that the walk began from
    output logic [2:0] from_level,         // the same, valid with start
    output logic from_second,
    output logic [2:0] start_level,        // where a walk begins, valid with start and ahead_missed
    output logic [51:12] start_frame,
    output logic start_possible,           // not at a PDPTE register that is not present
    output logic pde_touch,                // for the second level
    output logic pde_fill,
    output entry_t pde_entry,
    // memory
    output logic mem_valid,
    output logic mem_exchange,
    output logic [2:0] mem_level,
    output logic [PA_MAX-1:0] mem_pa,
    output logic [63:0] mem_expected,
    output logic [63:0] mem_desired,
    input logic answer_valid,
    input logic [63:0] answer,
    output logic restart,
    output logic committed,
    // debug
    input logic [2:0] debug_select,
    input logic [1:0] debug_field,
    input logic [9:0] debug_set,
    input logic [5:0] debug_way,
    output logic [63:0] debug_word
);
    logic [2:0] root_level, from_level_q;
    logic [51:12] root_frame, frame_2, frame_3, frame_4;
    rights_t start_rights, rights_2, rights_3, rights_4;
    logic root_present, from_second_q, touch, psc_fill;
    logic [4:2] tables;

    always_comb begin : root
        root_level = 3'd2;
        root_frame = '0;
        root_present = 1'b1;
        if (start || busy) begin
            root_frame = {20'd0, cr3_frame[31:12]};
            if (paging.lma) begin
                root_level = 3'd4;
                root_frame = cr3_frame;
            end else if (paging.pae) begin
                root_frame = pdpte_frame;
                root_present = pdpte_present;
            end
        end
    end

    always_ff @(posedge clk) begin : origin
        if (start) begin
            from_level_q <= from_level;
            from_second_q <= from_second;
        end
    end

    always_comb begin : outcome
        psc_level = 3'd0;
        touch = 1'b0;
        pde_touch = 1'b0;
        pde_fill = 1'b0;
        pde_entry = '0;
        if (done) begin
            psc_level = start ? from_level : from_level_q;
            touch = fill && restarts == '0;
            pde_touch = touch && from_second_q;
            pde_fill = fill && tables[2];
            pde_entry = {frame_2, 4'd0, rights_2};
        end
    end
    assign start_possible = root_present || start_level != root_level;
    assign psc_fill = fill || `MUT(49, 1'b0, done && tables != '0);

    psc #(.PDE_SETS(PDE_SETS), .PDE_WAYS(PDE_WAYS), .PDPTE_SETS(PDPTE_SETS), .PDPTE_WAYS(PDPTE_WAYS),
        .PML4E_SETS(PML4E_SETS), .PML4E_WAYS(PML4E_WAYS), .VA_BITS(VA_BITS), .PA_BITS(PA_BITS), .PCID_BITS(PCID_BITS),
        .REPLACEMENT(REPLACEMENT), .SEED(SEED)) u_psc (
        .clk(clk), .rst_n(rst_n), `MUT_CONNECT .va(va[47:12]), .va_large(va_large), .pcid(pcid),
        .look(start || ahead_missed), .ahead(ahead_missed), .second_found(second_found), .second_frame(second_entry.frame),
        .second_rights({second_entry.nx, second_entry.us, second_entry.rw}), .root_level(root_level),
        .root_frame(root_frame), .start_level(start_level), .start_frame(start_frame), .start_rights(start_rights),
        .from_level(from_level), .from_second(from_second), .touch(touch), .fill_pde(psc_fill && tables[2]),
        .fill_pdpte(psc_fill && tables[3]), .fill_pml4e(psc_fill && tables[4]), .pde_frame(frame_2),
        .pde_rights(rights_2), .pdpte_frame(frame_3), .pdpte_rights(rights_3), .pml4e_frame(frame_4),
        .pml4e_rights(rights_4), .drop(drop), .debug_select(debug_select), .debug_field(debug_field),
        .debug_set(debug_set), .debug_way(debug_way), .debug_word(debug_word));

    walker u_walker (
        .clk(clk), .rst_n(rst_n), `MUT_CONNECT .start(start), .va(walk_va), .access_type(access_type), .mode(mode),
        .paging(paging), .features(features), .beyond(beyond), .start_level(start_level), .start_frame(start_frame),
        .start_rights(start_rights), .root_level(root_level), .root_frame(root_frame), .root_present(root_present),
        .busy(busy), .done(done), .fault(fault), .fault_present(fault_present), .fault_reserved(fault_reserved),
        .leaf_found(leaf_found), .leaf_class(leaf_class), .leaf_entry(leaf_entry), .leaf_global(leaf_global),
        .restarts(restarts), .tables(tables), .frame_2(frame_2), .frame_3(frame_3), .frame_4(frame_4),
        .rights_2(rights_2), .rights_3(rights_3), .rights_4(rights_4), .mem_valid(mem_valid),
        .mem_exchange(mem_exchange), .mem_level(mem_level), .mem_pa(mem_pa), .mem_expected(mem_expected),
        .mem_desired(mem_desired), .answer_valid(answer_valid), .answer(answer), .restart(restart),
        .committed(committed));
endmodule
`default_nettype wire
