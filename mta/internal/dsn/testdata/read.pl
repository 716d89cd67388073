# Reads notifications with Mail::DeliveryStatus::BounceParser. Prints, for each
# file, whether it is a bounce and of which message, and what is said of each
# recipient that failed.
use strict;
use warnings;
use Mail::DeliveryStatus::BounceParser;

for my $name (@ARGV) {
    open my $file, '<:raw', $name or die "$name: $!";
    local $/;
    my $text = <$file>;
    $text =~ s/\r\n/\n/g;
    my $bounce = Mail::DeliveryStatus::BounceParser->new($text);
    print "$name bounce ", $bounce->is_bounce ? "yes" : "no", " ", $bounce->orig_message_id // "", "\n";
    for my $report ($bounce->reports) {
        next if $report->get("action") ne "failed";
        my $said = join ' ', map { $report->get($_) // '' } qw(action status email);
        $said =~ s/\s+/ /g;
        print "$name report $said\n";
    }
}
