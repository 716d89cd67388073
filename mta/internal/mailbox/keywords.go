package mailbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// keywordsFile says which letter in file names is which keyword: lines of a
// number and a name, 0 being the letter a. Dovecot has the same file.
const keywordsFile = "dovecot-keywords"

// keywords are those of one mailbox; its box's lock guards them.
type keywords struct {
	store *Store
	file  string
	names [maxKeywords]string // empty: the letter is free
	stamp stamp               // of the file when it was read
}

// read looks at the file if it changed; changed: some names did.
func (k *keywords) read() (changed bool, err error) {
	now, err := stampOf(k.file)
	if errors.Is(err, os.ErrNotExist) {
		changed = k.names != [maxKeywords]string{}
		k.names, k.stamp = [maxKeywords]string{}, stamp{}
		return changed, nil
	}
	if err != nil {
		return false, err
	}
	if now == k.stamp {
		return false, nil
	}
	data, err := os.ReadFile(k.file)
	if err != nil {
		return false, err
	}
	before := k.names
	k.names, k.stamp = parseKeywords(string(data)), now
	return k.names != before, nil
}

// parseKeywords passes over lines that it cannot read.
func parseKeywords(text string) (names [maxKeywords]string) {
	for line := range strings.Lines(text) {
		number, name, _ := strings.Cut(strings.TrimRight(line, "\r\n"), " ")
		n, err := strconv.Atoi(number)
		if err == nil && n >= 0 && n < maxKeywords && isKeyword(name) && !slices.ContainsFunc(names[:], equalTo(name)) {
			names[n] = name
		}
	}
	return names
}

func equalTo(name string) func(string) bool {
	return func(s string) bool { return strings.EqualFold(s, name) }
}

// have makes sure that each of words has a letter, durably, and returns the
// words in the mailbox's own case. The error is ErrKeywords where there are
// too many.
func (k *keywords) have(words []string) ([]string, error) {
	if len(words) == 0 {
		return nil, nil
	}
	if _, err := k.read(); err != nil {
		return nil, err
	}
	names, own := k.names, make([]string, len(words))
	for i, word := range words {
		n := slices.IndexFunc(names[:], equalTo(word))
		if n < 0 {
			if n = slices.Index(names[:], ""); n < 0 {
				return nil, ErrKeywords
			}
			names[n] = word
		}
		own[i] = names[n]
	}
	if names == k.names {
		return own, nil
	}
	var b []byte
	for n, name := range names {
		if name != "" {
			b = fmt.Appendf(b, "%d %s\n", n, name)
		}
	}
	if err := k.store.writeFile(k.file, b); err != nil {
		return nil, fmt.Errorf("write keywords: %w", err)
	}
	k.names = names
	k.stamp, _ = stampOf(k.file) // read again at worst
	return own, nil
}

// info is the suffix of a file name for flags. Letters of old that mean
// nothing to us stay.
func (k *keywords) info(flags Flags, old string) string {
	var letters []byte
	for _, s := range systemFlags {
		if flags.System&s.flag != 0 {
			letters = append(letters, s.letter)
		}
	}
	for _, word := range flags.words() {
		if n := slices.IndexFunc(k.names[:], equalTo(word)); n >= 0 {
			letters = append(letters, byte('a'+n))
		}
	}
	tail := ""
	if rest, ok := strings.CutPrefix(old, infoPrefix); ok {
		rest, extra, found := strings.Cut(rest, ",")
		for i := range len(rest) {
			if !k.knows(rest[i]) {
				letters = append(letters, rest[i])
			}
		}
		if found {
			tail = "," + extra
		}
	}
	slices.Sort(letters) // the Maildir has them in the order of ASCII
	return infoPrefix + string(slices.Compact(letters)) + tail
}

// infoPrefix stands between a message's name and its flags.
const infoPrefix = ":2,"

func (k *keywords) knows(letter byte) bool {
	for _, s := range systemFlags {
		if s.letter == letter {
			return true
		}
	}
	return letter >= 'a' && letter <= 'z' && k.names[letter-'a'] != ""
}

// flags reads the suffix of a file name.
func (k *keywords) flags(info string) (f Flags) {
	letters, ok := strings.CutPrefix(info, infoPrefix)
	if !ok {
		return f
	}
	letters, _, _ = strings.Cut(letters, ",")
	var words []string
	for i := range len(letters) {
		c := letters[i]
		if c >= 'a' && c <= 'z' {
			if name := k.names[c-'a']; name != "" {
				words = append(words, name)
			}
			continue
		}
		for _, s := range systemFlags {
			if s.letter == c {
				f.System |= s.flag
			}
		}
	}
	f.Keywords = joinKeywords(words)
	return f
}

// list returns the keywords and whether there is room for another.
func (k *keywords) list() (names []string, more bool) {
	for _, name := range k.names {
		if name == "" {
			more = true
			continue
		}
		names = append(names, name)
	}
	return names, more
}

func (s *Store) keywords(dir string) keywords {
	return keywords{store: s, file: filepath.Join(dir, keywordsFile)}
}
