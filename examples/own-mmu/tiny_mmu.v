// A small x86 MMU of somebody's own: 32-bit two-level paging with 4 MB pages (PSE-36: up to 1 TB) and global pages, one
// TLB entry for instructions and one for data. It shares no code with rtl/ and knows nothing of ntmmu; wrap.cpp gives it
// the C ABI.
//
// One thing at a time: an access (req), a register write (cr_write) or an INVLPG (inv) is offered in one cycle, while
// nothing else is under way; an access is answered by done = 1 in some later cycle, the others are over in one.
// mem_req stays up until mem_ack brings the entry read, or what a compare-and-exchange (mem_cas) found.
//
// BUGS plants mistakes that are often made. Bit 0: INVLPG looks at the data side only. Bit 1: only the walk looks at R/W
// and D, so that a write after a read goes through.
`default_nettype none
module tiny_mmu #(parameter BUGS = 0) (
    input  wire        clk,
    input  wire        rst,
    input  wire        req,
    input  wire [31:0] va,
    input  wire        write,
    input  wire        fetch,
    input  wire        user,
    output reg         done,
    output reg         walked,
    output reg         fault,
    output reg  [3:0]  error_code, // RSVD, U/S, W/R, P
    output reg  [39:0] pa,
    output reg  [2:0]  memory_type, // PAT, PCD, PWT of the page
    output reg  [1:0]  found_page,  // bit 0: one of 4 KB; bit 1: one of 4 MB
    input  wire        cr_write,
    input  wire [2:0]  cr_number,  // 0, 3 or 4
    input  wire [31:0] cr_value,
    input  wire        inv,
    output reg         mem_req,
    output reg         mem_cas,
    output reg  [31:0] mem_addr,
    output reg  [31:0] mem_old,
    output reg  [31:0] mem_new,
    input  wire        mem_ack,
    input  wire [31:0] mem_data
);
    localparam P = 0, RW = 1, US = 2, A = 5, D = 6, PS = 7, G = 8; // bits of an entry

    reg        pg, wp, pse, pge;
    reg [31:12] cr3;

    // ---- the TLB: entry 0 for data, entry 1 for instructions ----
    reg [1:0]   valid;
    reg [1:0]   big, writable, usable, dirty, globals;
    reg [31:12] tag [0:1];
    reg [39:12] frame [0:1];
    reg [2:0]   kind [0:1];

    function covers(input [31:12] page, input is_large, input [31:12] other);
        covers = is_large ? page[31:22] == other[31:22] : page == other;
    endfunction

    function allowed(input w, input u, input is_write, input is_user, input protect);
        allowed = is_user ? u && (w || !is_write) : w || !is_write || !protect;
    endfunction

    wire        side = fetch;
    wire        hit = valid[side] && covers(tag[side], big[side], va[31:12]);
    wire        hit_write = write && (BUGS & 2) == 0;
    wire        hit_allowed = allowed(writable[side], usable[side], hit_write, user, wp);
    wire        hit_serves = !hit_write || dirty[side];

    integer i;

    // ---- the access under way ----
    localparam IDLE = 0, READ_PDE = 1, READ_PTE = 2, MARK_PDE = 3, MARK_PTE = 4;
    reg [2:0]   state;
    reg [31:0]  pde;
    reg [31:12] a_page;
    reg [11:0]  a_offset;
    reg         a_write, a_user, a_side;

    wire [31:0] marks = (32'd1 << A) | (a_write ? 32'd1 << D : 32'd0);
    wire [31:0] leaf_marked = mem_data | marks;
    wire        is_large = mem_data[PS] && pse;
    wire        large_reserved = mem_data[21];
    wire        pde_allowed = allowed(mem_data[RW], mem_data[US], a_write, a_user, wp);
    wire        pte_allowed = allowed(pde[RW] && mem_data[RW], pde[US] && mem_data[US], a_write, a_user, wp);
    reg  [31:0] pte;

    task answer_fault(input present, input reserved);
        begin
            state <= IDLE;
            done <= 1;
            fault <= 1;
            error_code <= {reserved, a_user, a_write, present};
            // a page fault drops what the TLB holds for its address
            for (i = 0; i < 2; i = i + 1)
                if (covers(tag[i], big[i], a_page)) valid[i] <= 0;
        end
    endtask

    // A walk of it all, from the top.
    task start_walk(input [31:22] page);
        begin
            state <= READ_PDE;
            mem_req <= 1;
            mem_cas <= 0;
            mem_addr <= {cr3, page, 2'b00};
        end
    endtask

    task exchange(input [2:0] next, input [31:0] address, input [31:0] old, input [31:0] desired);
        begin
            state <= next;
            mem_req <= 1;
            mem_cas <= 1;
            mem_addr <= address;
            mem_old <= old;
            mem_new <= desired;
        end
    endtask

    // The walk has succeeded: into the TLB, and out.
    task finish(input [31:0] leaf, input page_large, input w, input u);
        begin
            state <= IDLE;
            done <= 1;
            fault <= 0;
            valid[a_side] <= 1;
            tag[a_side] <= a_page;
            frame[a_side] <= page_large ? {leaf[20:13], leaf[31:12]} : {8'd0, leaf[31:12]};
            big[a_side] <= page_large;
            writable[a_side] <= w;
            usable[a_side] <= u;
            dirty[a_side] <= leaf[D];
            globals[a_side] <= leaf[G] && pge;
            kind[a_side] <= {page_large ? leaf[12] : leaf[7], leaf[4:3]};
            memory_type <= {page_large ? leaf[12] : leaf[7], leaf[4:3]};
            pa <= page_large ? {leaf[20:13], leaf[31:22], a_page[21:12], a_offset} : {8'd0, leaf[31:12], a_offset};
        end
    endtask

    wire [31:0] pte_addr = {pde[31:12], a_page[21:12], 2'b00};

    // After all checks: A of the PDE, then A and D of the PTE; what has its bits already is left alone.
    task mark_pte(input [31:0] entry);
        if ((entry & marks) == marks) finish(entry, 0, pde[RW] && entry[RW], pde[US] && entry[US]);
        else exchange(MARK_PTE, pte_addr, entry, entry | marks);
    endtask

    always @(posedge clk) begin
        done <= 0;
        case (state)
        IDLE: begin
            if (cr_write) begin
                if (cr_number == 0) {pg, wp} <= {cr_value[31], cr_value[16]};
                if (cr_number == 3) cr3 <= cr_value[31:12];
                if (cr_number == 4) {pse, pge} <= {cr_value[4], cr_value[7]};
                valid <= cr_number == 3 ? valid & globals : 2'b00;
            end else if (inv) begin
                if (covers(tag[0], big[0], va[31:12])) valid[0] <= 0;
                if (covers(tag[1], big[1], va[31:12]) && (BUGS & 1) == 0) valid[1] <= 0;
            end else if (req) begin
                {a_page, a_offset} <= va;
                {a_write, a_user, a_side} <= {write, user, side};
                walked <= 0;
                found_page <= pg && hit ? {big[side], !big[side]} : 2'b00;
                if (!pg) begin
                    done <= 1;
                    fault <= 0;
                    pa <= {8'd0, va};
                    memory_type <= 0;
                end else if (hit && !hit_allowed) begin
                    done <= 1;
                    fault <= 1;
                    error_code <= {1'b0, user, write, 1'b1};
                    for (i = 0; i < 2; i = i + 1)
                        if (covers(tag[i], big[i], va[31:12])) valid[i] <= 0;
                end else if (hit && hit_serves) begin
                    done <= 1;
                    fault <= 0;
                    memory_type <= kind[side];
                    pa <= {frame[side][39:22], big[side] ? va[21:12] : frame[side][21:12], va[11:0]};
                end else begin
                    walked <= 1;
                    start_walk(va[31:22]);
                end
            end
        end
        READ_PDE: if (mem_ack) begin
            mem_req <= 0;
            pde <= mem_data;
            found_page <= {mem_data[P] && is_large, 1'b0};
            if (!mem_data[P]) answer_fault(0, 0);
            else if (is_large && large_reserved) answer_fault(1, 1);
            else if (is_large && !pde_allowed) answer_fault(1, 0);
            else if (is_large && leaf_marked == mem_data) finish(mem_data, 1, mem_data[RW], mem_data[US]);
            else if (is_large) exchange(MARK_PDE, mem_addr, mem_data, leaf_marked);
            else begin
                state <= READ_PTE;
                mem_req <= 1;
                mem_addr <= {mem_data[31:12], a_page[21:12], 2'b00};
            end
        end
        READ_PTE: if (mem_ack) begin
            mem_req <= 0;
            pte <= mem_data;
            found_page <= {1'b0, mem_data[P]};
            if (!mem_data[P]) answer_fault(0, 0);
            else if (!pte_allowed) answer_fault(1, 0);
            else if (!pde[A]) exchange(MARK_PDE, {cr3, a_page[31:22], 2'b00}, pde, pde | (32'd1 << A));
            else mark_pte(mem_data);
        end
        MARK_PDE: if (mem_ack) begin
            mem_req <= 0;
            if (mem_data != mem_old) start_walk(a_page[31:22]); // somebody changed it meanwhile
            else if (pde[PS] && pse) finish(mem_new, 1, pde[RW], pde[US]);
            else mark_pte(pte);
        end
        MARK_PTE: if (mem_ack) begin
            mem_req <= 0;
            if (mem_data != mem_old) start_walk(a_page[31:22]);
            else finish(mem_new, 0, pde[RW] && mem_new[RW], pde[US] && mem_new[US]);
        end
        default: state <= IDLE;
        endcase
        if (rst) begin
            state <= IDLE;
            {done, mem_req, valid, pg, wp, pse, pge} <= 0;
            cr3 <= 0;
        end
    end
endmodule
