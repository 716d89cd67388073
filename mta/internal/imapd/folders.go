package imapd

import (
	"slices"
	"strings"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"

	"github.com/wasmta/wasmta/mta/internal/mailbox"
)

// Create implements [imapserver.Session].
func (s *session) Create(name string, options *imap.CreateOptions) error {
	use, err := useOf(options.SpecialUse)
	if err != nil {
		return err
	}
	return s.refusal(s.server.Store.Create(s.account, name, use))
}

// useOf is the use that is asked for: one at most, and one of those that there
// are (RFC 6154 §3).
func useOf(attrs []imap.MailboxAttr) (mailbox.Use, error) {
	if len(attrs) == 0 {
		return "", nil
	}
	for _, use := range []mailbox.Use{mailbox.UseArchive, mailbox.UseDrafts, mailbox.UseJunk, mailbox.UseSent, mailbox.UseTrash} {
		if len(attrs) == 1 && strings.EqualFold(string(attrs[0]), string(use)) {
			return use, nil
		}
	}
	return "", &imap.Error{Type: imap.StatusResponseTypeNo, Code: "USEATTR", Text: "No mailbox can be for that"}
}

// Delete implements [imapserver.Session].
func (s *session) Delete(name string) error { return s.refusal(s.server.Store.Delete(s.account, name)) }

// Rename implements [imapserver.Session].
func (s *session) Rename(name, to string, _ *imap.RenameOptions) error {
	return s.refusal(s.server.Store.Rename(s.account, name, to))
}

// Subscribe implements [imapserver.Session].
func (s *session) Subscribe(name string) error {
	return s.refusal(s.server.Store.Subscribe(s.account, name, true))
}

// Unsubscribe implements [imapserver.Session].
func (s *session) Unsubscribe(name string) error {
	return s.refusal(s.server.Store.Subscribe(s.account, name, false))
}

// Status implements [imapserver.Session].
func (s *session) Status(name string, options *imap.StatusOptions) (*imap.StatusData, error) {
	st, err := s.server.Store.Status(s.account, name)
	if err != nil {
		return nil, s.refusal(err)
	}
	return s.statusData(name, st, options), nil
}

func (s *session) statusData(name string, st mailbox.Status, options *imap.StatusOptions) *imap.StatusData {
	limit := s.AppendLimit()
	data := &imap.StatusData{Mailbox: name}
	number := func(asked bool, n int) *uint32 {
		if !asked {
			return nil
		}
		v := uint32(n)
		return &v
	}
	data.NumMessages = number(options.NumMessages, st.Messages)
	data.NumUnseen = number(options.NumUnseen, st.Unseen)
	data.NumDeleted = number(options.NumDeleted, st.Deleted)
	data.NumRecent = number(options.NumRecent, 0)
	if options.UIDNext {
		data.UIDNext = imap.UID(st.UIDNext)
	}
	if options.UIDValidity {
		data.UIDValidity = st.UIDValidity
	}
	if options.Size {
		data.Size = &st.Size
	}
	if options.DeletedStorage {
		data.DeletedStorage = &st.DeletedSize
	}
	if options.AppendLimit {
		data.AppendLimit = &limit
	}
	return data
}

// A listed name is one that LIST may return.
type listed struct {
	mailbox.Folder
	below bool // there are subscriptions below it
}

// List implements [imapserver.Session] (RFC 3501 §6.3.8, RFC 5258, RFC 5819,
// RFC 6154).
func (s *session) List(w *imapserver.ListWriter, ref string, patterns []string, options *imap.ListOptions) error {
	if len(patterns) == 0 { // the separator is asked for
		return w.WriteList(&imap.ListData{Attrs: []imap.MailboxAttr{imap.MailboxAttrNoSelect}, Delim: mailbox.Separator})
	}
	all, err := s.names()
	if err != nil {
		return s.refusal(err)
	}
	if s.gate.command.name == "LSUB" { // go-imap calls it LIST (SUBSCRIBED), which it is not
		return lsub(w, all, ref, patterns)
	}
	for _, l := range all {
		if !matchAny(l.Name, ref, patterns) || !l.wanted(options) {
			continue
		}
		data := l.data(options)
		if options.ReturnStatus != nil && l.Exists {
			st, err := s.server.Store.Status(s.account, l.Name)
			if err == nil { // one that went meanwhile has no status
				data.Status = s.statusData(l.Name, st, options.ReturnStatus)
			}
		}
		if err := w.WriteList(data); err != nil {
			return err
		}
	}
	return nil
}

// lsub lists subscriptions, and what is above them where the pattern does not
// reach down to them (RFC 3501 §6.3.9).
func lsub(w *imapserver.ListWriter, all []listed, ref string, patterns []string) error {
	said := map[string]bool{}
	say := func(name string, attrs ...imap.MailboxAttr) error {
		if said[name] {
			return nil
		}
		said[name] = true
		return w.WriteList(&imap.ListData{Mailbox: name, Delim: mailbox.Separator, Attrs: attrs})
	}
	for _, l := range all {
		if l.Subscribed && matchAny(l.Name, ref, patterns) {
			if err := say(l.Name); err != nil {
				return err
			}
		}
	}
	for _, l := range all {
		if !l.Subscribed {
			continue
		}
		for i, c := range l.Name {
			if c != mailbox.Separator || !matchAny(l.Name[:i], ref, patterns) {
				continue
			}
			if err := say(l.Name[:i], imap.MailboxAttrNoSelect); err != nil {
				return err
			}
		}
	}
	return nil
}

func matchAny(name, ref string, patterns []string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		if strings.EqualFold(p, mailbox.Inbox) && ref == "" {
			p = mailbox.Inbox
		}
		return matchPattern(name, ref+p)
	})
}

// matchPattern is LIST's: `*` stands for anything, `%` for anything but the
// separator (RFC 3501 §6.3.8). It takes time in proportion to the product of
// both lengths.
func matchPattern(name, pattern string) bool {
	// reach[i] says that the pattern so far fits name[:i].
	reach := make([]bool, len(name)+1)
	reach[0] = true
	for i := range len(pattern) {
		c := pattern[i]
		if c == '*' || c == '%' {
			for n := range len(name) {
				if reach[n] && (c == '*' || name[n] != mailbox.Separator) {
					reach[n+1] = true
				}
			}
			continue
		}
		for n := len(name); n > 0; n-- {
			reach[n] = reach[n-1] && name[n-1] == c
		}
		reach[0] = false
	}
	return reach[len(name)]
}

// names returns what there is to list, INBOX first, then by name.
func (s *session) names() ([]listed, error) {
	folders, err := s.server.Store.Folders(s.account)
	if err != nil {
		return nil, err
	}
	all := make([]listed, len(folders))
	for i, f := range folders {
		all[i].Folder = f
		all[i].below = slices.ContainsFunc(folders, func(g mailbox.Folder) bool {
			return g.Subscribed && strings.HasPrefix(g.Name, f.Name+string(mailbox.Separator))
		})
	}
	return withAncestors(all), nil
}

// withAncestors adds the names above subscriptions that there are no mailboxes
// of: RECURSIVEMATCH may ask for them (RFC 5258 §3.5).
func withAncestors(all []listed) []listed {
	known := map[string]bool{}
	for _, l := range all {
		known[l.Name] = true
	}
	var more []listed
	for _, l := range all {
		for i, c := range l.Name {
			if c == mailbox.Separator && l.Subscribed && !known[l.Name[:i]] {
				known[l.Name[:i]] = true
				more = append(more, listed{Folder: mailbox.Folder{Name: l.Name[:i]}, below: true})
			}
		}
	}
	return append(all, more...)
}

// wanted tells whether l is what the selection options ask for.
func (l *listed) wanted(o *imap.ListOptions) bool {
	switch {
	case o.SelectSubscribed && !l.Subscribed && !(o.SelectRecursiveMatch && l.below):
		return false
	case o.SelectSpecialUse && l.Use == "":
		return false
	case !l.Exists && !l.HasChildren: // only a subscription is left of it
		return o.SelectSubscribed && (l.Subscribed || o.SelectRecursiveMatch)
	}
	return true
}

func (l *listed) data(o *imap.ListOptions) *imap.ListData {
	data := &imap.ListData{Mailbox: l.Name, Delim: mailbox.Separator}
	switch {
	case l.Exists:
	case o.SelectSubscribed && !l.HasChildren:
		data.Attrs = append(data.Attrs, imap.MailboxAttrNonExistent)
	default:
		data.Attrs = append(data.Attrs, imap.MailboxAttrNoSelect)
	}
	if l.HasChildren {
		data.Attrs = append(data.Attrs, imap.MailboxAttrHasChildren)
	} else {
		data.Attrs = append(data.Attrs, imap.MailboxAttrHasNoChildren)
	}
	if l.Subscribed && (o.SelectSubscribed || o.ReturnSubscribed) {
		data.Attrs = append(data.Attrs, imap.MailboxAttrSubscribed)
	}
	if l.Use != "" { // also in a plain LIST (RFC 6154 §2)
		data.Attrs = append(data.Attrs, imap.MailboxAttr(l.Use))
	}
	if o.SelectRecursiveMatch && l.below {
		data.ChildInfo = &imap.ListDataChildInfo{Subscribed: true}
	}
	return data
}
