package mail

// The hooks that a stage may have before the queue, by their names in the
// plugin ABI and in the order of a session.
const (
	HookConnect    = "on_connect"
	HookHelo       = "on_helo"
	HookAuth       = "on_auth"
	HookMail       = "on_mail"
	HookRcpt       = "on_rcpt"    // the recipient asked about is the last one
	HookData       = "on_data"    // the envelope is complete
	HookHeaders    = "on_headers" // the content is there
	HookMessage    = "on_message"
	HookDisconnect = "on_disconnect" // information only
)

// The hooks behind the queue.
const (
	HookRoute    = "on_route"    // before each attempt
	HookLocal    = "on_local"    // before each attempt, about the recipients that have a mailbox here
	HookDelivery = "on_delivery" // after each attempt, which Recipient.Last tells of
	HookDSN      = "on_dsn"      // a DSN is about to be queued; it is the transaction
)

// An Answer is what a plugin says of a transaction. Its edits are in the
// transaction already.
type Answer struct {
	Verdict  Verdict
	Code     int    // of the reply; zero: the plugin left the words to us
	Enh      string // enhanced status code, "5.7.1"; may be empty
	Text     string
	Reason   string // of quarantine; it may come with any verdict that accepts
	NotAgain bool   // the plugin need not be asked again about this message

	// Variants are parts of the transaction that get a content of their own:
	// forks of it with the recipients that it has no more. Their IDs are
	// empty.
	Variants []*Transaction

	// Sends are messages that the plugin originates: envelope and content, the
	// rest is empty. What a message must have beside that is not their
	// maker's matter.
	Sends []*Transaction

	// Used is what the answer cost. It is there with an error as well.
	Used Usage
}
