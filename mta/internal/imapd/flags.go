package imapd

import (
	"github.com/emersion/go-imap/v2"

	"github.com/wasmta/wasmta/mta/internal/mailbox"
)

// flagNames are flags as go-imap has them.
func flagNames(f mailbox.Flags) []imap.Flag {
	names := f.Names()
	flags := make([]imap.Flag, len(names))
	for i, name := range names {
		flags[i] = imap.Flag(name)
	}
	return flags
}

// parseFlags reads flags of a client.
func (s *session) parseFlags(flags []imap.Flag) (mailbox.Flags, error) {
	names := make([]string, len(flags))
	for i, f := range flags {
		names[i] = string(f)
	}
	f, err := mailbox.ParseFlags(names)
	if err != nil {
		return f, s.refusal(err)
	}
	return f, nil
}

// knownFlags are those of the reply to SELECT: the system's and the mailbox's
// keywords.
func knownFlags(v *mailbox.View) []imap.Flag {
	var flags []imap.Flag
	for _, name := range mailbox.SystemFlags() {
		flags = append(flags, imap.Flag(name))
	}
	for _, name := range v.Keywords {
		flags = append(flags, imap.Flag(name))
	}
	return flags
}

// permanentFlags are those that a client can set for good.
func permanentFlags(v *mailbox.View) []imap.Flag {
	flags := knownFlags(v)
	if v.MoreKeywords {
		flags = append(flags, imap.FlagWildcard)
	}
	return flags
}
