package host

// Limits bound what one hook call can make the host hold. A plugin that meets
// one gets [abi.Limit] (of log: nothing) and may go on.
type Limits struct {
	LogOctets       int // logged in one call; what comes after is dropped
	FieldOctets     int // one header field
	FieldsAdded     int // header fields inserted in one call
	HeaderOctets    int // of header fields inserted or set in one call
	BlobOctets      int // of all blobs of one call
	Blobs           int // blobs in one call
	EditOctets      int // of parts and messages replaced or inserted in one call
	Edits           int // of the message in one call, failed ones too
	PartsAdded      int // MIME parts inserted or wrapped in one call
	RecipientsAdded int // in one call
	NotesOctets     int // keys and values of a transaction
	NoteKey         int // octets of one key
	ReasonOctets    int // of quarantine's reason
	RandomOctets    int // in one call of random
	Variants        int // in one call
	Sends           int // messages sent in one call
	SendRecipients  int // of one message that is sent
	KVKey           int // octets of a key
	KVValue         int // octets of a value
	KVCalls         int // of the key-value functions in one call
	DNSQueries      int // in one call
	DNSOctets       int // of one answer
	Counters        int // that one call adds to
	Observations    int // in one call
	OperationOctets int // that call takes
}

// The defaults of [Limits].
const (
	DefaultLogOctets       = 64 << 10  // a page of log; a loop that logs must not fill the disk
	DefaultFieldOctets     = 64 << 10  // what large sites accept of one field (DKIM, ARC, long To:)
	DefaultFieldsAdded     = 1000      // more than any filter adds by a factor of 20
	DefaultHeaderOctets    = 1 << 20   // of a header section; other servers refuse well before
	DefaultBlobOctets      = 100 << 20 // twice the default size limit of a message
	DefaultBlobs           = 1000      // one for each part that may be added
	DefaultEditOctets      = 200 << 20 // of all versions of the content that one call makes: each is kept until it ends
	DefaultEdits           = 20_000    // each of 10,000 fields removed, and another one put in its place
	DefaultPartsAdded      = 1000      // a tenth of what a message tree may have
	DefaultRecipientsAdded = 1000      // as limits.recipients of a transaction
	DefaultNotesOctets     = 64 << 10  // kept with the transaction
	DefaultNoteKey         = 255       // a name, not a value
	DefaultReasonOctets    = 1000      // one line of a list
	DefaultRandomOctets    = 64 << 10  // as getrandom(2) and Web Crypto give at once
	DefaultVariants        = 100       // each is a message of its own in the queue
	DefaultSends           = 10        // one reply and some copies; a plugin must not be a list server by accident
	DefaultSendRecipients  = 100       // what every server must take of one message (RFC 5321 §4.5.3.1.8)
	DefaultKVKey           = 512       // two addresses of the longest kind, hashed or not
	DefaultKVValue         = 64 << 10  // a store of small facts, not of messages
	DefaultKVCalls         = 1000      // each may wait for a disk or a network
	DefaultDNSQueries      = 50        // SPF takes 10 (RFC 7208 §4.6.4), block lists one each
	DefaultDNSOctets       = 64 << 10  // of a DNS message over TCP (RFC 1035 §4.2.2)
	DefaultCounters        = 100       // what a person can look at
	DefaultObservations    = 1000      // one for each recipient
	DefaultOperationOctets = 64 << 10  // of one header field

	// MaxReplyText is the most text a reply may have: a reply line has 512
	// octets with code, enhanced code and CRLF (RFC 5321 §4.5.3.1.5).
	MaxReplyText = 512 - len("550 5.999.999 \r\n")
)

func (l Limits) withDefaults() Limits {
	for _, f := range []struct {
		field *int
		value int
	}{
		{&l.LogOctets, DefaultLogOctets},
		{&l.FieldOctets, DefaultFieldOctets},
		{&l.FieldsAdded, DefaultFieldsAdded},
		{&l.HeaderOctets, DefaultHeaderOctets},
		{&l.BlobOctets, DefaultBlobOctets},
		{&l.Blobs, DefaultBlobs},
		{&l.EditOctets, DefaultEditOctets},
		{&l.Edits, DefaultEdits},
		{&l.PartsAdded, DefaultPartsAdded},
		{&l.RecipientsAdded, DefaultRecipientsAdded},
		{&l.NotesOctets, DefaultNotesOctets},
		{&l.NoteKey, DefaultNoteKey},
		{&l.ReasonOctets, DefaultReasonOctets},
		{&l.RandomOctets, DefaultRandomOctets},
		{&l.Variants, DefaultVariants},
		{&l.Sends, DefaultSends},
		{&l.SendRecipients, DefaultSendRecipients},
		{&l.KVKey, DefaultKVKey},
		{&l.KVValue, DefaultKVValue},
		{&l.KVCalls, DefaultKVCalls},
		{&l.DNSQueries, DefaultDNSQueries},
		{&l.DNSOctets, DefaultDNSOctets},
		{&l.Counters, DefaultCounters},
		{&l.Observations, DefaultObservations},
		{&l.OperationOctets, DefaultOperationOctets},
	} {
		if *f.field == 0 {
			*f.field = f.value
		}
	}
	return l
}
