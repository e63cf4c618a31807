// (3) An invalidation drops exactly what it should from an array: in the cycle after it, a way that was valid is so no more if
// the table in rtl/README.md, "Invalidation", says that it is dropped, and else still is. With PCIDs, global entries,
// fragments and, in the second level, PDE entries; LEVEL 3 is a paging-structure cache.
//
// One way is watched through the debug port.
//
//   cycle        t-1     t       t+1
//   step_q       0       1       2
//   debug        <valid> <tag>   <valid>
//   change       ________            any in t-1: it begins anew
//   drop                 <any>
`default_nettype none
`include "mmu_types.svh"
`include "formal.svh"

module exact_drop #(
    parameter int LEVEL = 1,
    parameter int CLASSES = 3,
    parameter int SETS = 2,
    parameter int WAYS = 2,
    parameter int FRAGMENTS = 0,
    parameter int REPLACEMENT = 0
) (
    `ARRAY_PORTS,
    input logic [1:0] watch_way
);
    `POWER_ON
    `ARRAY_SIGNALS
    drop_t drop_q;
    logic [1:0] way_q;
    logic of_page, of_pcid, drops, drops_q, global_q, large_class;

    small_array #(.LEVEL(LEVEL), .CLASSES(CLASSES), .SETS(SETS), .WAYS(WAYS), .FRAGMENTS(FRAGMENTS), .REPLACEMENT(REPLACEMENT))
        u_small (.*, .tag(step_q == 2'd1), .set(set_q), .way(way_q));

    always_comb begin : table_of_invalidations
        tag = debug_word[51:0];
        large_class = tag.tlb_class == 2'd1 || tag.tlb_class == 2'd3;
        of_page = large_class ? tag.page == {9'd0, va_large} :
            tag.tlb_class == 2'd2 ? tag.page == {18'd0, va[47:30]} : tag.page == va;
        of_pcid = tag.pcid == {11'd0, pcid_bit};
        drops = 1'b0;
        case (drop)
            DROP_ALL: drops = 1'b1;
            DROP_NONGLOBAL: drops = !tag.g;
            DROP_CONTEXT: drops = !tag.g && of_pcid;
            DROP_PAGE: drops = (of_page && (tag.g || of_pcid)) || tag.fragment || tag.tlb_class == 2'd3;
            DROP_PAGE_LOCAL: drops = (of_page && !tag.g && of_pcid) || tag.fragment || tag.tlb_class == 2'd3;
            DROP_FAULT: drops = (of_page && (tag.g || of_pcid)) || tag.fragment;
            default: ;
        endcase
        // A paging-structure cache: all of the PCID, but a fault's only where they cover the address.
        if (LEVEL == 3 && (drop == DROP_PAGE || drop == DROP_PAGE_LOCAL)) begin
            drops = of_pcid;
        end
    end

    always_ff @(posedge clk) begin : watch
        if (!rst_n) begin
            set_q <= watch_set;
            way_q <= watch_way;
        end
        step_q <= 2'd0;
        if (rst_n && step_q == 2'd0 && ask && !change && 32'(way_q) < WAYS && debug_word[way_q]) begin
            step_q <= 2'd1;
        end else if (rst_n && step_q == 2'd1 && drop != DROP_NONE) begin
            step_q <= 2'd2;
        end
        drops_q <= drops;
        drop_q <= drop;
        global_q <= tag.g;
    end
    // Reached: a global entry is spared by what drops the others of its PCID.
    `CLAIM(step_q == 2'd2 && debug_word[way_q] == drops_q,
        step_q == 2'd2 && debug_word[way_q] && (LEVEL == 3 || global_q) && drop_q == DROP_CONTEXT)
endmodule
`default_nettype wire
