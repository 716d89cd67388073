package imapd

import (
	"errors"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"

	"github.com/wasmta/wasmta/mta/internal/mailbox"
)

var errReadOnly = &imap.Error{Type: imap.StatusResponseTypeNo, Code: imap.ResponseCodeNoPerm, Text: "The mailbox was opened with EXAMINE"}

// named are the messages that the set of a command names. Numbers that are none
// in this mailbox are the client's mistake (RFC 9051 §9, seq-number); UIDs may
// be any.
func (s *session) named(set imap.NumSet) ([]picked, error) {
	if seqs, ok := set.(imap.SeqSet); ok {
		last := uint32(len(s.view.entries))
		for _, r := range seqs {
			if last == 0 || r.Start > last || r.Stop > last {
				return nil, &imap.Error{Type: imap.StatusResponseTypeBad, Code: imap.ResponseCodeClientBug, Text: "No such message number"}
			}
		}
	}
	return s.view.pick(set, s.saved), nil
}

// uidsOf are the UIDs of messages that a command names.
func uidsOf(all []picked) []mailbox.UID {
	uids := make([]mailbox.UID, len(all))
	for i, p := range all {
		uids[i] = mailbox.UID(p.uid)
	}
	return uids
}

// Store implements [imapserver.Session].
func (s *session) Store(w *imapserver.FetchWriter, set imap.NumSet, change *imap.StoreFlags, _ *imap.StoreOptions) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.readOnly {
		return errReadOnly
	}
	flags, err := s.parseFlags(change.Flags)
	if err != nil {
		return err
	}
	all, err := s.named(set)
	if err != nil {
		return err
	}
	changed, err := s.setFlags(all, change.Op, flags)
	if err != nil {
		return err
	}
	if change.Silent {
		return nil
	}
	for _, p := range changed {
		e, seq := s.view.find(p.uid)
		if e == nil {
			continue
		}
		m := w.CreateMessage(seq)
		m.WriteUID(p.uid)
		m.WriteFlags(flagNames(e.flags))
		if err := m.Close(); err != nil {
			return err
		}
	}
	return nil
}

var flagChanges = map[imap.StoreFlagsOp]mailbox.FlagChange{
	imap.StoreFlagsSet: mailbox.ReplaceFlags,
	imap.StoreFlagsAdd: mailbox.AddFlags,
	imap.StoreFlagsDel: mailbox.RemoveFlags,
}

// setFlags changes flags and lets the view know them, so that the client is not
// told again of what it did itself. It returns the messages that still are.
func (s *session) setFlags(all []picked, op imap.StoreFlagsOp, flags mailbox.Flags) ([]picked, error) {
	if len(all) == 0 {
		return nil, nil
	}
	messages, err := s.box.SetFlags(uidsOf(all), flagChanges[op], flags)
	if err != nil {
		return nil, s.refusal(err)
	}
	var changed []picked
	for i := range messages {
		if e, seq := s.view.find(imap.UID(messages[i].UID)); e != nil {
			e.flags = messages[i].Flags
			changed = append(changed, picked{seq, e.uid})
		}
	}
	return changed, nil
}

// Expunge implements [imapserver.Session]. For CLOSE go-imap hands in a writer
// that goes nowhere; the client is not told then, and in a mailbox that was
// opened with EXAMINE nothing is removed and nothing is wrong (RFC 3501
// §6.4.2).
func (s *session) Expunge(w *imapserver.ExpungeWriter, uids *imap.UIDSet) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	closing := *w == imapserver.ExpungeWriter{}
	if s.readOnly {
		if closing {
			return nil
		}
		return errReadOnly
	}
	if err := s.expunge(uids); err != nil {
		return err
	}
	if closing {
		return nil
	}
	now, err := s.box.View()
	if err != nil {
		return s.lost(err)
	}
	return s.tellExpunged(now, w.WriteExpunge)
}

// tellExpunged brings the view up to now and tells of the messages that are
// gone; what else changed is left for the poll that follows every command.
func (s *session) tellExpunged(now *mailbox.View, write func(uint32) error) error {
	for _, uid := range now.Since(s.view.seen).Expunged {
		if e, _ := s.view.find(imap.UID(uid)); e != nil {
			e.gone = true
		}
	}
	for _, u := range s.view.expunge() {
		if err := write(u.expunge); err != nil {
			return err
		}
	}
	return nil
}

// expunge removes the messages that are marked \Deleted, of those that the
// client knows: all, or those of uids (RFC 4315 §2.1).
func (s *session) expunge(uids *imap.UIDSet) error {
	var set imap.NumSet = imap.SeqSet{imap.SeqRange{Start: 1, Stop: 0}}
	if uids != nil {
		set = *uids
	}
	now, err := s.box.View()
	if err != nil {
		return s.lost(err)
	}
	var marked []mailbox.UID
	for _, p := range s.view.pick(set, s.saved) {
		place, ok := now.Find(mailbox.UID(p.uid))
		if ok && now.Messages[place].Flags.System&mailbox.Deleted != 0 {
			marked = append(marked, mailbox.UID(p.uid))
		}
	}
	if len(marked) == 0 {
		return nil
	}
	_, err = s.box.Expunge(marked)
	return s.refusal(err)
}

// Copy implements [imapserver.Session].
func (s *session) Copy(set imap.NumSet, dest string) (*imap.CopyData, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all, err := s.named(set)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, s.noMessages(dest)
	}
	copied, err := s.box.Copy(uidsOf(all), dest)
	if err != nil {
		return nil, s.tryCreate(err)
	}
	return copyData(copied), nil
}

// noMessages is the answer to a COPY or MOVE of nothing: OK, unless the
// mailbox is not there.
func (s *session) noMessages(dest string) error {
	if _, err := s.server.Store.Status(s.account, dest); err != nil {
		return s.tryCreate(err)
	}
	return nil
}

func copyData(c mailbox.Copied) *imap.CopyData {
	data := &imap.CopyData{UIDValidity: c.UIDValidity}
	for i := range c.From {
		data.SourceUIDs.AddNum(imap.UID(c.From[i]))
		data.DestUIDs.AddNum(imap.UID(c.To[i]))
	}
	if len(c.From) == 0 {
		return nil
	}
	return data
}

// Move implements [imapserver.SessionMove] (RFC 6851).
func (s *session) Move(w *imapserver.MoveWriter, set imap.NumSet, dest string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.readOnly {
		return errReadOnly
	}
	all, err := s.named(set)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return s.noMessages(dest)
	}
	moved, err := s.box.Move(uidsOf(all), dest)
	if err != nil && len(moved.From) == 0 {
		return s.tryCreate(err)
	}
	if data := copyData(moved); data != nil {
		if err := w.WriteCopyData(data); err != nil {
			return err
		}
	}
	now, viewErr := s.box.View()
	if viewErr != nil {
		return s.lost(viewErr)
	}
	return errors.Join(s.tellExpunged(now, w.WriteExpunge), s.refusal(err))
}
