#!/usr/bin/perl
# Mutants by a tool: a copy of rtl/ in which operators, constants and assignments are exchanged, one at a time by the
# strap `mutant`.
#   tests/mutants/generate.pl RTL_DIRECTORY OUT_DIRECTORY EVERY
# Writes the files and OUT_DIRECTORY/list.txt: number, file:line, what is exchanged, the statement. Of all that can be made it
# takes one in EVERY. A number is a hash of the file's name, the statement and the place in it: a change elsewhere in
# rtl/ makes no other mutant out of it, and the choice goes by the number, so that the same ones are taken again.
use strict;
use warnings;

my ($rtl, $out, $every) = @ARGV;
my (%used, @list);
my $file;
die "usage: $0 RTL_DIRECTORY OUT_DIRECTORY EVERY\n" unless @ARGV == 3 && $every =~ /^[1-9]\d*$/;

sub hash_of {    # FNV-1a
    my $h = 0x811C9DC5;
    for my $byte (unpack 'C*', $_[0]) { $h = (($h ^ $byte) * 0x01000193) & 0xFFFFFFFF; }
    return $h;
}

my $nested;    # balanced parentheses
$nested = qr/\((?:[^()]++|(??{$nested}))*\)/;

# What must stand as it is gets blanks of the same length: comments, bugs made by hand, assertions, all that is worked out
# when the model is built.
sub blank { my $text = shift; $text =~ s/[^\n]/ /g; return $text; }

sub masked {
    my $text = shift;
    $text =~ s{(//[^\n]*|/\*.*?\*/)}{blank($1)}gse;
    $text =~ s{^(`ifdef.*?^`endif)}{blank($1)}gsme;
    $text =~ s{^(    always_ff \@\(posedge clk\) begin : rules\n.*?^    end)$}{blank($1)}gsme;
    $text =~ s{^(    generate\n.*?^    endgenerate)$}{blank($1)}gsme;
    $text =~ s{^(    initial begin\n.*?^    end)$}{blank($1)}gsme;
    $text =~ s{^(    function automatic int .*?^    endfunction)$}{blank($1)}gsme;    # of constants
    $text =~ s{\b((?:localparam|parameter)\b[^;]*;)}{blank($1)}gse;
    $text =~ s{(#\(.*?\n\) \()}{blank($1)}gse;
    $text =~ s{\b(for \s*$nested)}{blank($1)}gsex;
    $text =~ s{^([^\n]*\bunused\b[^\n]*)$}{blank($1)}gsme;
    return $text;
}

my %other = ('&&' => '||', '||' => '&&', '==' => '!=', '!=' => '==', '<=' => '<', '>=' => '>', '<' => '<=', '>' => '>=',
    '+' => '-', '-' => '+', '&' => '|', '|' => '&', '!' => '', '~' => '', "1'b0" => "1'b1", "1'b1" => "1'b0");

# The bugs made by hand are left out.
sub without_mut {
    my $text = shift;
    while ($text =~ /`MUT($nested)/) {
        my ($from, $to, $arguments) = ($-[0], $+[0], substr $1, 1, -1);
        my ($good) = $arguments =~ /^\s*\d+,\s*((?:[^(),]++|\{[^{}]*\}|$nested)*),/ or die "$file: cannot read `MUT($arguments)\n";
        substr($text, $from, $to - $from) = "($good)";
    }
    $text =~ s/\s*(?:&&\s*\(1'b1\)|\|\|\s*\(1'b0\))//g;
    return $text;
}

# The places in an expression: offset, length, replacement. Selects and the width of a cast stay.
sub places {
    my $expression = shift;
    1 while $expression =~ s{(\[[^\[\]]*\])}{'_' x length $1}e;
    $expression =~ s{(\([^()]*\))(?=')}{'_' x length $1}ge;
    my @places;
    while ($expression =~ /(1'b[01]|&&|\|\||==|!=|<=|>=|<<|>>|[-+<>&|!~])/g) {
        next unless exists $other{$1};
        push @places, [pos($expression) - length $1, length $1, $other{$1}];
    }
    return @places;
}


# Its mutants around the expression that ends a statement's head. target: what is assigned in a register, or undef.
sub wrapped {
    my ($head, $expression, $plain, $line, $target, $seen) = @_;
    my @mutants;
    my $statement = $head . $plain;
    $statement =~ s/\s+/ /g;
    $statement =~ s/^ //;
    my $again = $seen->{$statement}++;
    my $place = 0;
    my $add = sub {
        my ($what, $mutated) = @_;
        my $number = hash_of("$file\n$statement\n$again\n" . $place++) & 0x0FFFFFFF;
        return if hash_of("choose $number") % $every;
        $number++ while $number < 1000 || $used{$number};
        $used{$number} = 1;
        push @mutants, [$number, $mutated];
        push @list, "$number $file:$line $what $statement";
    };
    for my $p (places($plain)) {
        my ($offset, $length, $new) = @$p;
        my $old = substr $plain, $offset, $length;
        my $mutated = $expression;
        substr($mutated, $offset, $length) = $new;
        my $before = substr $plain, 0, $offset;
        my $nth = () = $before =~ /\Q$old\E/g;
        $add->(($old . ($nth ? '#' . ($nth + 1) : '')) . '->' . ($new eq '' ? 'nothing' : $new), $mutated);
    }
    $add->('keeps', $target) if defined $target;
    return $expression unless @mutants;
    my $text = "($expression)";
    $text = "((ntmmu_mutant::sel == 32'd$_->[0]) ? ($_->[1]) : $text)" for @mutants;
    return $text;
}

sub mutated_file {
    my $text = without_mut(shift);
    my $plain = masked($text);
    my (@edits, %seen);
    my $line_of = sub { 1 + (substr($text, 0, shift) =~ tr/\n//) };
    while ($plain =~ /\bif\s*($nested)/g) {
        my ($from, $length) = ($-[1] + 1, $+[1] - $-[1] - 2);
        push @edits, [$from, $length, wrapped('if ', substr($text, $from, $length), substr($plain, $from, $length),
            $line_of->($from), undef, \%seen)];
    }
    my $lvalue = qr/\w[\w.]*(?:\[(?:[^\[\]]++|\[[^\[\]]*\])*\])*|\{[^{};=]*\}/;
    while ($plain =~ /^[ ]*(?:[\w']+:[ ]+)?((?:assign\s+)?($lvalue)\s*(<?=)(?!=)\s*)([^;]*);/gm) {
        my ($head, $target, $kind, $from, $length) = ($1, $2, $3, $-[4], $+[4] - $-[4]);
        next if $head =~ /^(?:if|else|case|return)\b/;
        push @edits, [$from, $length, wrapped($head, substr($text, $from, $length), substr($plain, $from, $length),
            $line_of->($from), $kind eq '<=' && $target !~ /^\{/ ? $target : undef, \%seen)];
    }
    for my $edit (sort { $b->[0] <=> $a->[0] } @edits) { substr($text, $edit->[0], $edit->[1]) = $edit->[2]; }
    return $text;
}

sub slurp {
    open my $in, '<', $_[0] or die "$_[0]: $!\n";
    local $/;
    return scalar <$in>;
}

sub spill {
    my ($path, $text) = @_;
    open my $to, '>', $path or die "$path: $!\n";
    print $to $text;
    close $to or die "$path: $!\n";
}

for my $path (sort glob "$rtl/*.sv $rtl/*.svh") {
    ($file) = $path =~ m{([^/]+)$};
    my $text = slurp($path);
    if ($file eq 'mmu_types.svh') {
        $text =~ s/(`define MMU_TYPES_SVH\n)/$1package ntmmu_mutant;\n    logic [31:0] sel;\nendpackage\n/ or die "$path: no include guard\n";
    } else {
        $text = mutated_file($text);
        if ($file eq 'mmu.sv') {
            # Alive from the first cycle of reset on.
            $text =~ s/^    logic \[31:0\] mut_sel;\n/$&    always_comb ntmmu_mutant::sel = mutant;\n/m or die "$path: no strap `mutant'\n";
        }
    }
    spill("$out/$file", $text);
}
spill("$out/list.txt", join('', map {"$_\n"} @list));
