package mail

// An Answer is what a plugin says of a transaction. Its edits are in the
// transaction already.
type Answer struct {
	Verdict Verdict
	Code    int    // of the reply; zero: the plugin left the words to us
	Enh     string // enhanced status code, "5.7.1"; may be empty
	Text    string
	Reason  string // of quarantine; it may come with any verdict that accepts
}
