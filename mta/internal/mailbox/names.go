package mailbox

import (
	"fmt"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Inbox is the name of the mailbox that every account has. In names from
// outside, its case does not matter (RFC 9051 §5.1).
const Inbox = "INBOX"

// Separator stands between the segments of a name: Lists/go.
const Separator = '/'

// Bounds of names.
const (
	maxFileName = 255 // octets; NAME_MAX of Linux' file systems
	maxSegments = 16  // deeper trees are made by programs gone wild
)

// CleanName returns the one right spelling of a mailbox name, or ErrName.
func CleanName(name string) (string, error) {
	bad := func(why string) (string, error) { return "", fmt.Errorf("%w: %s", ErrName, why) }
	if !utf8.ValidString(name) {
		return bad("not valid UTF-8")
	}
	if len(name) > 2*maxFileName { // encoding makes none so much shorter
		return bad("too long")
	}
	segments := strings.Split(name, string(Separator))
	switch {
	case name == "":
		return bad("empty")
	case len(segments) > maxSegments:
		return bad(fmt.Sprintf("more than %d levels", maxSegments))
	}
	for _, segment := range segments {
		if segment == "" {
			return bad("an empty level")
		}
		for _, r := range segment {
			if r == '*' || r == '%' { // the wildcards of LIST
				return bad("* and % are not allowed")
			}
			if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || r == utf8.RuneError { // RFC 9051 §5.1
				return bad("a control character")
			}
		}
	}
	if strings.EqualFold(segments[0], Inbox) {
		segments[0] = Inbox
	}
	clean := strings.Join(segments, string(Separator))
	if len(folderFile(clean)) > maxFileName {
		return bad("too long")
	}
	return clean, nil
}

// folderFile is the file name of a clean name's folder: ".Lists.go"; that of
// INBOX is ".", which is the account's folder itself.
func folderFile(clean string) string {
	if clean == Inbox {
		return "."
	}
	return "." + encodeSegments(clean, ".")
}

func encodeSegments(clean, separator string) string {
	segments := strings.Split(clean, string(Separator))
	for i := range segments {
		segments[i] = encodeUTF7(segments[i])
	}
	return strings.Join(segments, separator)
}

// folderName is the clean name of a folder with that file name; ok is false
// for files that are no folders. Names in plain UTF-8, which other programs
// may write, are taken too.
func folderName(file string) (clean string, ok bool) {
	if len(file) < 2 || file[0] != '.' || file[1] == '.' {
		return "", false
	}
	segments := strings.Split(file[1:], ".")
	for i, s := range segments {
		if d, err := decodeUTF7(s); err == nil {
			segments[i] = d
		} else if isASCII(s) || strings.IndexByte(s, '&') >= 0 {
			return "", false
		}
	}
	name := strings.Join(segments, string(Separator))
	clean, err := CleanName(name)
	return clean, err == nil && clean == name && clean != Inbox && strings.Count(name, string(Separator)) == len(segments)-1
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// checkAccount tells whether an account can have a folder of its name: one
// that stays below the root and is not hidden in it.
func checkAccount(account string) error {
	bad := func(why string) error { return fmt.Errorf("%w: %q: %s", ErrAccount, account, why) }
	switch {
	case account == "":
		return bad("empty")
	case !utf8.ValidString(account):
		return bad("not valid UTF-8")
	case len(account) > maxFileName:
		return bad("too long")
	case account[0] == '.':
		return bad("begins with a dot")
	case strings.ContainsAny(account, `/\`):
		return bad("has a slash")
	case strings.ContainsFunc(account, unicode.IsControl):
		return bad("has a control character")
	case !filepath.IsLocal(account):
		return bad("not a file name")
	}
	return nil
}

// A folder is where a mailbox is, or would be.
type folder struct {
	account string
	name    string // clean
	home    string // the account's folder
	dir     string // the mailbox's
}

func (f folder) inbox() bool { return f.name == Inbox }

// folder finds the place of a mailbox. The names are checked; whether it
// exists is not.
func (s *Store) folder(account, name string) (folder, error) {
	if err := checkAccount(account); err != nil {
		return folder{}, err
	}
	clean, err := CleanName(name)
	if err != nil {
		return folder{}, err
	}
	home := filepath.Join(s.root, account)
	f := folder{account, clean, home, filepath.Join(home, folderFile(clean))}
	if !isASCII(clean) && !isMaildir(f.dir) {
		if plain := filepath.Join(home, "."+strings.ReplaceAll(clean, string(Separator), ".")); isPlainUTF8(clean) && isMaildir(plain) {
			f.dir = plain
		}
	}
	return f, nil
}

// isPlainUTF8 tells whether another program may have written clean as it is.
func isPlainUTF8(clean string) bool {
	return !strings.ContainsAny(clean, ".&") && len(clean) < maxFileName
}
