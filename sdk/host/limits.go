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
	PartsAdded      int // MIME parts inserted or wrapped in one call
	RecipientsAdded int // in one call
	NotesOctets     int // keys and values of a transaction
	NoteKey         int // octets of one key
	ReasonOctets    int // of quarantine's reason
	RandomOctets    int // in one call of random
}

// The defaults of [Limits].
const (
	DefaultLogOctets       = 64 << 10  // a page of log; a loop that logs must not fill the disk
	DefaultFieldOctets     = 64 << 10  // what large sites accept of one field (DKIM, ARC, long To:)
	DefaultFieldsAdded     = 1000      // more than any filter adds by a factor of 20
	DefaultHeaderOctets    = 1 << 20   // of a header section; other servers refuse well before
	DefaultBlobOctets      = 100 << 20 // twice the default size limit of a message
	DefaultBlobs           = 1000      //
	DefaultPartsAdded      = 1000      //
	DefaultRecipientsAdded = 1000      // as limits.recipients of a transaction
	DefaultNotesOctets     = 64 << 10  // kept with the transaction
	DefaultNoteKey         = 255       //
	DefaultReasonOctets    = 1000      // one line of a list
	DefaultRandomOctets    = 64 << 10  //

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
		{&l.PartsAdded, DefaultPartsAdded},
		{&l.RecipientsAdded, DefaultRecipientsAdded},
		{&l.NotesOctets, DefaultNotesOctets},
		{&l.NoteKey, DefaultNoteKey},
		{&l.ReasonOctets, DefaultReasonOctets},
		{&l.RandomOctets, DefaultRandomOctets},
	} {
		if *f.field == 0 {
			*f.field = f.value
		}
	}
	return l
}
