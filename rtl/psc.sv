// The paging-structure caches, SDM volume 3, 4.10.3, and with them where a walk begins: below the deepest entry that
// matches the address and the PCID. Order: PDE cache, a PDE entry that the second-level TLB found, PDPTE cache, PML4E
// cache, root. A cache without ways is not there.
//
//   cycle        t       …   end
//   look         __/---\_________           the walk's first cycle
//   start_*      <where>                    combinational in t
//   touch        ____________/---\__        the entry that the walk began from was used
//   fill_*       ____________/---\__        upper levels that the walk read
`default_nettype none
`include "mmu_types.svh"

module psc #(
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
    input logic [VA_MAX-1:12] va,
    input logic [26:0] va_large,
    input logic [11:0] pcid,
    // where a walk begins
    input logic look,
    input logic ahead,                   // for a walk ahead: the head's goes on
    input logic second_found,
    input logic [51:12] second_frame,
    input rights_t second_rights,
    input logic [2:0] root_level,
    input logic [51:12] root_frame,
    output logic [2:0] start_level,      // of the first entry to be read
    output logic [51:12] start_frame,
    output rights_t start_rights,
    output logic [2:0] from_level,       // of the cached entry: 2 PDE, 3 PDPTE, 4 PML4E; 0 none
    output logic from_second,
    // the walk ended well
    input logic touch,                   // it began from an entry here
    input logic fill_pde,
    input logic fill_pdpte,
    input logic fill_pml4e,
    input logic [51:12] pde_frame,
    input rights_t pde_rights,
    input logic [51:12] pdpte_frame,
    input rights_t pdpte_rights,
    input logic [51:12] pml4e_frame,
    input rights_t pml4e_rights,
    input drop_t drop,
    // debug
    /* verilator lint_off UNUSEDSIGNAL */
    input logic [2:0] debug_select,    // of each array
    /* verilator lint_on UNUSEDSIGNAL */
    input logic [1:0] debug_field,
    input logic [9:0] debug_set,
    input logic [5:0] debug_way,
    output logic [63:0] debug_word
);
    logic hit_2, hit_3, hit_4;
    logic [5:0] way_2, way_3, way_4, way, way_q;
    logic [2:0] from_q;                  // which of the three a walk under way began from: level, 0 = none
    /* verilator lint_off UNUSEDSIGNAL */
    entry_t entry_2, entry_3, entry_4;   // only frame and rights count
    entry_t fill_2, fill_3, fill_4;
    /* verilator lint_on UNUSEDSIGNAL */
    logic [63:0] debug_2, debug_3, debug_4;

    always_comb begin : choose
        start_level = root_level;
        start_frame = root_frame;
        start_rights = 3'b011;
        from_level = 3'd0;
        from_second = 1'b0;
        way = '0;
        if (look) begin
            if (hit_2) begin
                from_level = 3'd2;
                way = way_2;
                start_level = 3'd1;
                start_frame = entry_2.frame;
                start_rights = {entry_2.nx, entry_2.us, entry_2.rw};
            end else if (second_found) begin
                from_level = 3'd2;
                from_second = 1'b1;
                start_level = 3'd1;
                start_frame = second_frame;
                start_rights = second_rights;
            end else if (hit_3) begin
                from_level = 3'd3;
                way = way_3;
                start_level = 3'd2;
                start_frame = entry_3.frame;
                start_rights = {entry_3.nx, entry_3.us, entry_3.rw};
            end else if (hit_4) begin
                from_level = 3'd4;
                way = way_4;
                start_level = 3'd3;
                start_frame = entry_4.frame;
                start_rights = {entry_4.nx, entry_4.us, entry_4.rw};
            end
            start_rights = `MUT(41, start_rights, 3'b011);
        end
    end

    always_ff @(posedge clk) begin : origin
        if (look && !ahead) begin
            from_q <= from_second ? 3'd0 : from_level;
            way_q <= way;
        end
    end

    always_comb begin : tables
        fill_2 = '0;
        fill_3 = '0;
        fill_4 = '0;
        if (fill_pde || fill_pdpte || fill_pml4e) begin
            fill_2 = {pde_frame, 4'd0, pde_rights};
            fill_3 = {pdpte_frame, 4'd0, pdpte_rights};
            fill_4 = {pml4e_frame, 4'd0, pml4e_rights};
        end
    end

    logic change;
    assign change = fill_pde || fill_pdpte || fill_pml4e || drop != DROP_NONE;
    generate
        if (PDE_WAYS != 0) begin : g_2
            logic unused_hit, unused_global;
            logic [1:0] unused_class;
            logic [5:0] unused_way;
            tlb_array #(.NUMBER(10), .LEVEL(3), .CLASSES(8), .SHIFT_4K(12), .SETS(PDE_SETS), .WAYS(PDE_WAYS),
                .VA_BITS(VA_BITS), .PA_BITS(PA_BITS), .PCID_BITS(PCID_BITS), .REPLACEMENT(REPLACEMENT), .SEED(SEED)) u_array (
                .clk(clk), .rst_n(rst_n), `MUT_CONNECT .va(va), .va_large(va_large), .pcid(pcid), .look(look), .step(2'd0),
                .hit(hit_2), .hit_class(unused_class), .hit_global(unused_global), .hit_way(way_2), .hit_entry(entry_2), .pde_hit(unused_hit),
                .pde_hit_way(unused_way), .read(1'b0), .read_step(2'd0), .entry_use(1'b0), .entry_way(6'd0),
                .touch(touch && from_q == 3'd2), .fill(fill_pde), .op_class(2'd3), .touch_way(way_q),
                .fill_entry(fill_2), .fill_global(1'b0), .fill_fragment(1'b0), .pde_touch(1'b0), .pde_fill(1'b0),
                .pde_way(6'd0), .pde_entry(47'd0), .drop(drop), .change(change), .debug_read(debug_select[0]),
                .debug_set(debug_set), .debug_way(debug_way), .debug_field(debug_field), .debug_word(debug_2));
            /* verilator lint_off UNUSEDSIGNAL */
            logic unused;
            /* verilator lint_on UNUSEDSIGNAL */
            assign unused = &{1'b0, unused_hit, unused_global, unused_class, unused_way};
        end else begin : g_no_2
            assign hit_2 = 1'b0;
            assign way_2 = '0;
            assign entry_2 = '0;
            assign debug_2 = '0;
        end
        if (PDPTE_WAYS != 0) begin : g_3
            logic unused_hit, unused_global;
            logic [1:0] unused_class;
            logic [5:0] unused_way;
            tlb_array #(.NUMBER(11), .LEVEL(3), .CLASSES(4), .SHIFT_4K(12), .SETS(PDPTE_SETS), .WAYS(PDPTE_WAYS),
                .VA_BITS(VA_BITS), .PA_BITS(PA_BITS), .PCID_BITS(PCID_BITS), .REPLACEMENT(REPLACEMENT), .SEED(SEED)) u_array (
                .clk(clk), .rst_n(rst_n), `MUT_CONNECT .va(va), .va_large(va_large), .pcid(pcid), .look(look), .step(2'd0),
                .hit(hit_3), .hit_class(unused_class), .hit_global(unused_global), .hit_way(way_3), .hit_entry(entry_3), .pde_hit(unused_hit),
                .pde_hit_way(unused_way), .read(1'b0), .read_step(2'd0), .entry_use(1'b0), .entry_way(6'd0),
                .touch(touch && from_q == 3'd3), .fill(fill_pdpte), .op_class(2'd2), .touch_way(way_q),
                .fill_entry(fill_3), .fill_global(1'b0), .fill_fragment(1'b0), .pde_touch(1'b0), .pde_fill(1'b0),
                .pde_way(6'd0), .pde_entry(47'd0), .drop(drop), .change(change), .debug_read(debug_select[1]),
                .debug_set(debug_set), .debug_way(debug_way), .debug_field(debug_field), .debug_word(debug_3));
            /* verilator lint_off UNUSEDSIGNAL */
            logic unused;
            /* verilator lint_on UNUSEDSIGNAL */
            assign unused = &{1'b0, unused_hit, unused_global, unused_class, unused_way};
        end else begin : g_no_3
            assign hit_3 = 1'b0;
            assign way_3 = '0;
            assign entry_3 = '0;
            assign debug_3 = '0;
        end
        if (PML4E_WAYS != 0) begin : g_4
            logic unused_hit, unused_global;
            logic [1:0] unused_class;
            logic [5:0] unused_way;
            tlb_array #(.NUMBER(12), .LEVEL(3), .CLASSES(1), .SHIFT_4K(39), .SETS(PML4E_SETS), .WAYS(PML4E_WAYS),
                .VA_BITS(VA_BITS), .PA_BITS(PA_BITS), .PCID_BITS(PCID_BITS), .REPLACEMENT(REPLACEMENT), .SEED(SEED)) u_array (
                .clk(clk), .rst_n(rst_n), `MUT_CONNECT .va(va), .va_large(va_large), .pcid(pcid), .look(look), .step(2'd0),
                .hit(hit_4), .hit_class(unused_class), .hit_global(unused_global), .hit_way(way_4), .hit_entry(entry_4), .pde_hit(unused_hit),
                .pde_hit_way(unused_way), .read(1'b0), .read_step(2'd0), .entry_use(1'b0), .entry_way(6'd0),
                .touch(touch && from_q == 3'd4), .fill(fill_pml4e), .op_class(2'd0), .touch_way(way_q),
                .fill_entry(fill_4), .fill_global(1'b0), .fill_fragment(1'b0), .pde_touch(1'b0), .pde_fill(1'b0),
                .pde_way(6'd0), .pde_entry(47'd0), .drop(drop), .change(change), .debug_read(debug_select[2]),
                .debug_set(debug_set), .debug_way(debug_way), .debug_field(debug_field), .debug_word(debug_4));
            /* verilator lint_off UNUSEDSIGNAL */
            logic unused;
            /* verilator lint_on UNUSEDSIGNAL */
            assign unused = &{1'b0, unused_hit, unused_global, unused_class, unused_way};
        end else begin : g_no_4
            assign hit_4 = 1'b0;
            assign way_4 = '0;
            assign entry_4 = '0;
            assign debug_4 = '0;
        end
    endgenerate
    assign debug_word = debug_2 | debug_3 | debug_4;
endmodule
`default_nettype wire
