package mailbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

// Deliver stores m in a folder of account; when it returns nil, the message is
// on stable storage. It does not look at m.Envelope.Recipients; rcpt is who it
// is for.
//
// `Return-Path:` and `Delivered-To:` stand on top of the message (RFC 5321
// §4.4). All other octets are as they came, also a Return-Path that somebody
// sent along: the first one is ours.
//
// An empty folder is INBOX. One that does not exist is made and subscribed to.
// A name that no folder can have, and flags that are none, come from a
// plugin's mistake: the message goes to INBOX, without these flags, and the
// log says so.
func (s *Store) Deliver(ctx context.Context, account, folder, flags string, rcpt mail.Path, m *mail.Message) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	f, err := s.deliveryFolder(account, folder)
	if err != nil {
		return fmt.Errorf("deliver: %w", err)
	}
	parsed, err := ParseFlags(strings.Fields(flags))
	if err != nil {
		s.log.Warn("delivered without flags", "queue_id", m.ID, "rcpt", rcpt, "flags", flags, "err", err)
	}
	head := fmt.Sprintf("Return-Path: <%s>\r\nDelivered-To: %s\r\n", oneLine(m.Envelope.ReversePath), oneLine(rcpt))
	if err := s.deliver(f, head, m.Content, parsed); err != nil {
		return fmt.Errorf("deliver to %s of %s: %w", f.name, f.account, err)
	}
	return nil
}

// oneLine is p as text that cannot end a header field.
func oneLine(p mail.Path) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, p.String())
}

func (s *Store) deliveryFolder(account, name string) (folder, error) {
	if s.opt.Known != nil {
		known, ok := s.opt.Known(account)
		if !ok {
			return folder{}, fmt.Errorf("%w: %q is not known", ErrAccount, account)
		}
		account = known
	}
	if name == "" {
		name = Inbox
	}
	f, err := s.folder(account, name)
	if errors.Is(err, ErrName) {
		s.log.Warn("delivered to INBOX", "account", account, "mailbox", name, "err", err)
		return s.folder(account, Inbox)
	}
	return f, err
}

func (s *Store) deliver(f folder, head string, content mail.Content, flags Flags) error {
	d, err := s.draftOf(f, head, content)
	if errors.Is(err, os.ErrNotExist) {
		if err := s.ensure(f, true); err != nil {
			return err
		}
		d, err = s.draftOf(f, head, content)
	}
	if err != nil {
		return err
	}
	info := ""
	if flags != (Flags{}) {
		if info, err = s.infoFor(f, flags); err != nil {
			d.discard()
			return err
		}
	}
	return s.publish(f, d, info)
}

func (s *Store) draftOf(f folder, head string, content mail.Content) (*draft, error) {
	r, err := content.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return s.write(f.dir, head, r, time.Time{})
}

// infoFor is the suffix for flags in f. Keywords that there is no room for are
// left out.
func (s *Store) infoFor(f folder, flags Flags) (info string, err error) {
	if flags.Keywords == "" {
		return new(keywords).info(flags, ""), nil // no need to know the mailbox
	}
	err = s.use(f, remember, func(b *box) error {
		b.mu.Lock()
		defer b.mu.Unlock()
		if _, err := b.keywords.have(flags.words()); err != nil && !errors.Is(err, ErrKeywords) {
			return err
		}
		info = b.keywords.info(flags, "")
		return nil
	})
	return info, err
}

// maxArrived is how many deliveries may wait for a session to look at its
// mailbox before delivery itself takes them into the index.
const maxArrived = 1000

// publish moves a draft to new/, or to cur/ when it has flags, and tells
// whoever has the mailbox open.
func (s *Store) publish(f folder, d *draft, info string) error {
	sub := filepath.Join(f.dir, "new")
	if info != "" {
		sub = filepath.Join(f.dir, "cur")
	}
	file := filepath.Join(sub, d.base+info)
	if err := os.Rename(d.tmp, file); err != nil {
		d.discard()
		return err
	}
	if err := s.dirs.sync(sub); err != nil {
		return err // it may be there: twice is better than never
	}
	b := s.inUse(f.dir)
	if b == nil {
		return nil // whoever opens it looks at the disk
	}
	b.arrivedMu.Lock()
	b.arrived = append(b.arrived, d.message(info, info == ""))
	n := len(b.arrived)
	b.arrivedMu.Unlock()
	if n >= maxArrived {
		if _, err := b.view(remember); err != nil {
			s.log.Warn("delivered messages are not listed yet", "account", f.account, "mailbox", f.name, "err", err)
		}
	}
	b.notify()
	return nil
}
