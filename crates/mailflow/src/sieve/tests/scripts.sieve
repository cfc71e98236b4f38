=== nothing

=== comment
# keep
/* discard; */
=== keep
keep;
=== keep twice
keep; keep;
=== discard
discard;
=== discard and keep
discard; keep;
=== stop
stop; discard;
=== if else
if header :contains "subject" "tern" { discard; } elsif true { keep; } else { stop; }
=== is
if header :is "Subject" "The terns are back" { discard; }
=== is without case
if header :is "subject" "THE TERNS ARE BACK" { discard; }
=== octets
require "comparator-i;octet"; if header :comparator "i;octet" :is "subject" "THE TERNS ARE BACK" { discard; }
=== contains nothing
if header :contains "x-none" "" { discard; }
=== contains the empty
if header :contains "subject" "" { discard; }
=== matches
if header :matches "subject" "*tern?*" { discard; }
=== matches stars
if header :matches "subject" ["\\*literal\\*", "***"] { discard; }
=== matches one
if header :matches "subject" "?" { discard; }
=== is empty
if header :is "subject" "" { discard; }
=== several fields
if header :contains ["to", "cc", "x-list"] ["gull", "ben@"] { discard; }
=== exists
if exists ["from", "x-list"] { discard; }
=== exists not
if not exists "message-id" { discard; }
=== anyof
if anyof (header :contains "to" "ben", exists "x-list") { discard; }
=== allof
if allof (true, not false, size :under 100K) { discard; }
=== size
if size :over 1K { discard; }
=== address
if address :is "from" "zoe@far.test" { discard; }
=== address all
if address :all :contains ["to", "cc"] "ben@tern.test" { discard; }
=== address domain
if address :domain :is "from" "FAR.TEST" { discard; }
=== address local
if address :localpart :is ["from", "to"] "zoe" { discard; }
=== address of a group
if address :is "to" "cyd@tern.test" { discard; }
=== text block
if header :contains "subject" text:
tern
.
 { discard; }
=== encoded word
if header :contains "subject" "Küche" { discard; }
=== redirect
redirect "ben@tern.test";
=== redirect twice
redirect "ben@tern.test"; redirect "ben@tern.test"; redirect "cyd@tern.test";
=== redirect and keep
redirect "ben@tern.test"; keep;
=== no such command
frobnicate;
=== no semicolon
keep
=== require late
keep; require "fileinto";
=== not required
fileinto "A";
=== unknown extension
require "x-nobody-knows"; keep;
=== unknown comparator
if header :comparator "i;none" :is "a" "b" { keep; }
=== bad string
if header :is "subject { keep; }
=== bad address
redirect "not an address";
=== else alone
else { keep; }
=== test as command
true;
=== bad number
if size :over 10X { keep; }
=== fileinto
require "fileinto"; fileinto "Lists/Birds";
=== fileinto twice
require "fileinto"; fileinto "A"; fileinto "A"; fileinto "B";
=== fileinto and keep
require "fileinto"; fileinto "A"; keep;
=== fileinto and discard
require "fileinto"; discard; fileinto "A";
=== fileinto the inbox
require "fileinto"; fileinto "INBOX";
=== copies
require ["fileinto", "copy"]; fileinto :copy "A"; redirect :copy "ben@tern.test";
=== made
require ["fileinto", "mailbox"]; fileinto :create "New";
=== mailbox exists
require ["fileinto", "mailbox"]; if mailboxexists "Nowhere" { discard; }
=== flags of keep
require "imap4flags"; keep :flags ["\\Flagged", "$label1"];
=== flags before
require "imap4flags"; setflag "\\Seen"; addflag "\\Answered"; removeflag "\\Seen";
=== flags of fileinto
require ["imap4flags", "fileinto"]; setflag "\\Seen"; fileinto "A"; fileinto :flags "x" "B";
=== hasflag
require "imap4flags"; setflag ["a", "b"]; if hasflag :is "b" { discard; }
=== flags in one
require "imap4flags"; addflag "a b"; addflag "b c"; keep;
=== flag variables
require ["imap4flags", "variables"]; setflag "f" "\\Flagged"; keep :flags "${f}";
=== envelope from
require "envelope"; if envelope :is "from" "zoe@far.test" { discard; }
=== envelope domain
require "envelope"; if envelope :domain :is "to" "tern.test" { discard; }
=== detail
require ["envelope", "subaddress"]; if envelope :detail "to" "birds" { discard; }
=== user
require ["envelope", "subaddress"]; if envelope :user "to" "ana" { discard; }
=== no detail
require "subaddress"; if address :detail :is "from" "" { discard; }
=== detail of a field
require "subaddress"; if address :detail :contains "to" "" { discard; }
=== set
require ["variables", "fileinto"]; set "a" "Birds"; fileinto "Lists.${a}${none}";
=== match variables
require ["variables", "fileinto"]; if header :matches "subject" "* * *" { fileinto "${1}-${2}-${3}"; }
=== modifiers
require ["variables", "fileinto"]; set :lower :upperfirst "a" "tERNS"; set :length "n" "${a}"; fileinto "${a}${n}";
=== quoted wildcards
require ["variables", "fileinto"]; set :quotewildcard "a" "a*b?"; fileinto "${a}";
=== string
require "variables"; set "a" "x"; if string :is "${a}${b}" "x" { discard; }
=== the empty string
require "variables"; if string :is "${none}" "" { discard; }
=== no variable
require ["variables", "fileinto"]; fileinto "a${ b}$c";
=== variables unrequired
require "fileinto"; fileinto "a${b}";
=== scope of matches
require ["variables", "fileinto"]; if header :matches "from" "*@*" { if header :matches "x-none" "*" { keep; } fileinto "${1}"; }
=== variables after their block
require ["variables", "fileinto"]; if header :matches "from" "*@*" { set "where" "${1}"; } elsif true { set "where" "none"; } fileinto "in ${where}";
=== variables after a loop
require ["variables", "fileinto", "mime", "foreverypart"]; foreverypart { if header :mime :contenttype "content-type" "text/html" { set :upper "kind" "html"; } } if string "${kind}" "HTML" { fileinto "html"; }
=== matches after their block
require ["variables", "fileinto"]; if true { if header :matches "from" "*@*" { set "a" "b"; } } fileinto "${1}";
=== matches of the last test
require ["variables", "fileinto"]; if header :matches "from" "*@*" { if header :matches "subject" "*e*" { set "a" "${2}"; } } fileinto "${1}";
=== matches that were not tried
require ["variables", "fileinto"]; if anyof (header :matches "from" "*@*", header :matches "subject" "*e*") { fileinto "${1}"; }
=== matches by regex
require ["variables", "fileinto", "regex"]; if header :regex "subject" "(t[a-z]+)s" { if header :matches "x-none" "*" { keep; } fileinto "${1}"; }
=== matches without any
require ["variables", "fileinto"]; fileinto "a${1}b";
=== count
require "relational"; if header :count "ge" :comparator "i;ascii-numeric" "received" "2" { discard; }
=== count addresses
require ["relational", "comparator-i;ascii-numeric"]; if address :count "gt" :comparator "i;ascii-numeric" ["to", "cc"] "1" { discard; }
=== value
require ["relational", "comparator-i;ascii-numeric"]; if header :value "gt" :comparator "i;ascii-numeric" "x-priority" "3" { discard; }
=== value of texts
require "relational"; if header :value "lt" "subject" "t" { discard; }
=== index
require "index"; if header :index 1 :contains "received" "a.far.test" { discard; }
=== index from the end
require "index"; if header :index 1 :last :contains "received" "a.far.test" { discard; }
=== date
require ["date", "relational"]; if date :value "ge" :zone "+0000" "date" "date" "2026-01-01" { discard; }
=== weekday
require "date"; if date :originalzone :is "date" "weekday" "4" { discard; }
=== hour elsewhere
require "date"; if date :zone "-0530" :is "date" "hour" "18" { discard; }
=== today
require ["date", "relational"]; if currentdate :value "gt" "year" "2020" { discard; }
=== body text
require "body"; if body :text :contains "gulls" { discard; }
=== body raw
require "body"; if body :raw :contains "PGI+" { discard; }
=== body content
require "body"; if body :content "text/html" :contains "terns" { discard; }
=== body decoded
require "body"; if body :content "text" :contains "Küche" { discard; }
=== part types
require ["mime", "foreverypart", "fileinto"]; foreverypart { if header :mime :type :is "content-type" "image" { fileinto "Pictures"; break; } }
=== any child
require "mime"; if header :mime :anychild :param "filename" :contains "content-disposition" "gull" { discard; }
=== content type
require "mime"; if header :mime :subtype :is "content-type" "mixed" { discard; }
=== reject
require "reject"; reject "No thanks";
=== reject and keep
require "reject"; reject "No thanks"; keep;
=== ereject
require "ereject"; if header :contains "from" "far" { ereject "No thanks"; }
=== vacation
require "vacation"; vacation :addresses "ana@tern.test" "I am away";
=== vacation to others
require "vacation"; vacation :days 3 :addresses "nobody@tern.test" "I am away";
=== vacation and file
require ["vacation", "fileinto"]; vacation :addresses "ana@tern.test" "Away"; fileinto "A";
=== vacation seconds
require ["vacation-seconds"]; vacation :addresses "ana@tern.test" :seconds 3600 "Away";
=== vacation twice
require "vacation"; vacation :addresses "ana@tern.test" "a"; vacation :addresses "ana@tern.test" "b";
=== notify
require "enotify"; notify :importance "1" :message "Mail!" "mailto:ben@tern.test";
=== notify by what nobody has
require "enotify"; notify "xmpp:ben@tern.test";
=== valid methods
require "enotify"; if valid_notify_method "mailto:ben@tern.test" { discard; }
=== regex
require "regex"; if header :regex "subject" "^the +t.rns" { discard; }
=== regex matches
require ["regex", "variables", "fileinto"]; if header :regex "from" "([a-z]+)@([a-z.]+)" { fileinto "${2}.${1}"; }
=== environment
require "environment"; if environment :is "phase" "during" { discard; }
=== ihave
require "ihave"; if ihave "fileinto" { fileinto "A"; } else { discard; }
=== ihave not
require "ihave"; if ihave "x-nobody-knows" { frobnicate; } else { discard; }
=== encoded characters
require ["encoded-character", "fileinto"]; fileinto "${hex:41 42}${unicode:e9}";
=== duplicate
require "duplicate"; if duplicate { discard; }
=== header added
require ["editheader", "fileinto"]; addheader "X-New" "yes"; if header :is "x-new" "yes" { fileinto "A"; }
=== header deleted
require "editheader"; deleteheader "subject"; if exists "subject" { discard; }
