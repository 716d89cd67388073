package mailbox

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// subscriptionsFile names the mailboxes an account is subscribed to, as
// Dovecot writes it: a header, an empty line, then a name on each line with
// tabs between its levels. Dovecot's older files have neither the header nor
// the tabs.
const (
	subscriptionsFile   = "subscriptions"
	subscriptionsHeader = "V\t2\n\n"
)

// Subscribe puts a name on the list of subscriptions, or takes it away. The
// mailbox need not exist (RFC 9051 §6.3.7).
func (s *Store) Subscribe(account, name string, on bool) error {
	f, err := s.folder(account, name)
	if err != nil {
		return err
	}
	defer s.accountMu.lock(account)()
	if err := s.makeDir(f.home); err != nil {
		return err
	}
	return s.editSubscriptions(f.home, func(names map[string]bool) {
		if on {
			names[f.name] = true
		} else {
			delete(names, f.name)
		}
	})
}

func readSubscriptions(home string) (map[string]bool, error) {
	data, err := os.ReadFile(filepath.Join(home, subscriptionsFile))
	if errors.Is(err, os.ErrNotExist) {
		return map[string]bool{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read subscriptions: %w", err)
	}
	return parseSubscriptions(string(data)), nil
}

func parseSubscriptions(text string) map[string]bool {
	names := map[string]bool{}
	text, tabs := strings.CutPrefix(text, "V\t2\n")
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		separator := "\t"
		if !tabs {
			separator = "."
		}
		segments := strings.Split(line, separator)
		for i, segment := range segments {
			if d, err := decodeUTF7(segment); err == nil {
				segments[i] = d
			}
		}
		if name, err := CleanName(strings.Join(segments, string(Separator))); err == nil {
			names[name] = true
		}
	}
	return names
}

// editSubscriptions changes the file. The lock of the account is held.
func (s *Store) editSubscriptions(home string, edit func(map[string]bool)) error {
	names, err := readSubscriptions(home)
	if err != nil {
		return err
	}
	before := maps.Clone(names)
	edit(names)
	if maps.Equal(before, names) {
		return nil
	}
	var b strings.Builder
	b.WriteString(subscriptionsHeader)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		b.WriteString(encodeSegments(name, "\t") + "\n")
	}
	if err := s.writeFile(filepath.Join(home, subscriptionsFile), []byte(b.String())); err != nil {
		return fmt.Errorf("write subscriptions: %w", err)
	}
	return nil
}

// usesFile has what CREATE said of mailboxes: lines of a use and a name.
const usesFile = "mta-special-use"

func readUses(home string) (map[string]Use, error) {
	data, err := os.ReadFile(filepath.Join(home, usesFile))
	if errors.Is(err, os.ErrNotExist) {
		return map[string]Use{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read special uses: %w", err)
	}
	uses := map[string]Use{}
	for line := range strings.Lines(string(data)) {
		use, name, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if _, known := wellKnown[Use(use)]; ok && known {
			uses[name] = Use(use)
		}
	}
	return uses, nil
}

// editUses changes the file. The lock of the account is held.
func (s *Store) editUses(home string, edit func(map[string]Use)) error {
	uses, err := readUses(home)
	if err != nil {
		return err
	}
	before := maps.Clone(uses)
	edit(uses)
	if maps.Equal(before, uses) {
		return nil
	}
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(uses)) {
		b.WriteString(string(uses[name]) + " " + name + "\n")
	}
	if err := s.writeFile(filepath.Join(home, usesFile), []byte(b.String())); err != nil {
		return fmt.Errorf("write special uses: %w", err)
	}
	return nil
}
