package mailbox

import (
	"fmt"
	"slices"
	"strings"
)

// Flag is a set of the flags that IMAP defines (RFC 9051 §2.3.2). There is no
// \Recent.
type Flag uint8

// The flags.
const (
	Seen Flag = 1 << iota
	Answered
	Flagged
	Deleted
	Draft
)

// systemFlags is in the order of the letters, which is that of file names.
var systemFlags = []struct {
	flag   Flag
	letter byte
	name   string
}{
	{Draft, 'D', `\Draft`},
	{Flagged, 'F', `\Flagged`},
	{Answered, 'R', `\Answered`},
	{Seen, 'S', `\Seen`},
	{Deleted, 'T', `\Deleted`},
}

// SystemFlags returns the names of all system flags.
func SystemFlags() []string {
	return []string{`\Answered`, `\Flagged`, `\Deleted`, `\Seen`, `\Draft`}
}

// Flags is what a message is marked with. Two are the same flags if they are
// equal, within one mailbox.
type Flags struct {
	System   Flag
	Keywords string // sorted, with a blank between them; their case is the mailbox's
}

// Bounds of keywords.
const (
	maxKeywords = 26  // letters a to z in a file name, as Dovecot has it
	maxKeyword  = 128 // octets; clients use words, not sentences
)

// ParseFlags reads names such as `\Seen` and `$Forwarded`. Case does not matter
// in them; `\Recent` is passed over. An error is ErrFlag.
func ParseFlags(names []string) (Flags, error) {
	var f Flags
	var words []string
	for _, name := range names {
		switch {
		case strings.EqualFold(name, `\Recent`):
		case strings.HasPrefix(name, `\`):
			flag, ok := systemFlag(name)
			if !ok {
				return Flags{}, fmt.Errorf("%w: %q", ErrFlag, name)
			}
			f.System |= flag
		case !isKeyword(name):
			return Flags{}, fmt.Errorf("%w: %q", ErrFlag, name)
		default:
			words = append(words, name)
		}
	}
	f.Keywords = joinKeywords(words)
	return f, nil
}

func systemFlag(name string) (Flag, bool) {
	for _, s := range systemFlags {
		if strings.EqualFold(s.name, name) {
			return s.flag, true
		}
	}
	return 0, false
}

// isKeyword tells whether s is an atom (RFC 9051 §9, flag-keyword).
func isKeyword(s string) bool {
	if s == "" || len(s) > maxKeyword {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c > '~' || strings.IndexByte(`(){%*"\]`, c) >= 0 {
			return false
		}
	}
	return true
}

// joinKeywords sorts words and drops those that are there twice.
func joinKeywords(words []string) string {
	if len(words) == 0 {
		return ""
	}
	words = slices.Clone(words)
	slices.SortStableFunc(words, func(a, b string) int { return strings.Compare(strings.ToLower(a), strings.ToLower(b)) })
	return strings.Join(slices.CompactFunc(words, strings.EqualFold), " ")
}

// words returns the keywords of f.
func (f Flags) words() []string { return strings.Fields(f.Keywords) }

// Names returns the flags as IMAP names them.
func (f Flags) Names() []string {
	names := []string{}
	for _, s := range systemFlags {
		if f.System&s.flag != 0 {
			names = append(names, s.name)
		}
	}
	return append(names, f.words()...)
}

// Has tells whether the flag or keyword of that name is in f.
func (f Flags) Has(name string) bool {
	if flag, ok := systemFlag(name); ok {
		return f.System&flag != 0
	}
	return slices.ContainsFunc(f.words(), func(w string) bool { return strings.EqualFold(w, name) })
}

// With returns f and g together.
func (f Flags) With(g Flags) Flags {
	return Flags{f.System | g.System, joinKeywords(append(f.words(), g.words()...))}
}

// Without returns what of f is not in g.
func (f Flags) Without(g Flags) Flags {
	left := slices.DeleteFunc(f.words(), g.Has)
	return Flags{f.System &^ g.System, strings.Join(left, " ")}
}

// FlagChange says what [Mailbox.SetFlags] does with the flags it is given.
type FlagChange int

// The changes.
const (
	ReplaceFlags FlagChange = iota
	AddFlags
	RemoveFlags
)

func (c FlagChange) apply(old, given Flags) Flags {
	switch c {
	case AddFlags:
		return old.With(given)
	case RemoveFlags:
		return old.Without(given)
	}
	return given
}
