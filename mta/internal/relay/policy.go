package relay

// A need is what a message asks of the TLS with its next hop, beside what the
// hop itself says. Connections are shared by messages with equal needs.
type need struct {
	requireTLS bool   // REQUIRETLS (RFC 8689 §4.2.1)
	relaxed    bool   // `TLS-Required: No` (RFC 8689 §5): deliver rather than verify
	policy     string // the MTA-STS policy in force, by domain and ID; empty: none
}
