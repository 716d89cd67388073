package mta

import "github.com/wasmta/wasmta/sdk/go/internal/guest"

// selected is the variant that the host works on.
var selected int32

// Variant gives some recipients a message of their own: it begins as the
// message is now, and edit edits it. The others do not see these edits, and
// the later ones of theirs are not in it. A recipient is in one variant at
// most. An error of edit is returned; the variant stays.
//
//	err := m.Variant(outside, func(m *mta.Message) error {
//		return m.Header().Set("Subject", "[external] "+subject)
//	})
func (m *Message) Variant(rcpts []Recipient, edit func(*Message) error) error {
	ids := make([]byte, 0, 4*len(rcpts))
	for _, r := range rcpts {
		ids = append(ids, byte(r.id), byte(r.id>>8), byte(r.id>>16), byte(r.id>>24))
	}
	v := guest.VariantNew(ids)
	if v < 0 {
		return failed("make variant", v)
	}
	outer := selected
	if err := choose(v); err != nil {
		return err
	}
	err := edit(&Message{})
	if back := choose(outer); err == nil {
		err = back
	}
	return err
}

func choose(v int32) error {
	e := guest.VariantSelect(v)
	if e == 0 {
		selected = v
	}
	return failed("select variant", e)
}

// Send queues a message of the plugin's own together with the one that the
// hook is asked about: it is sent if that one is taken. The octets are all of
// it, header section and body; what its header section lacks of Date, From,
// Message-ID and Auto-Submitted the server adds. An empty sender is the null
// reverse-path, which is right for automatic replies (RFC 3834 §3.3).
//
// Because of a message that is automatic itself, or came from a list, nothing
// is sent: [ErrLoop].
func (m *Message) Send(sender string, rcpts []string, octets ...[]byte) error {
	h := blob(octets...)
	if h >= 0 {
		h = guest.Send(sender, lines(rcpts), h)
	}
	return failed("send message", h)
}

func lines(list []string) string {
	if len(list) == 1 {
		return list[0]
	}
	var b []byte
	for _, s := range list {
		b = append(append(b, s...), '\n')
	}
	return string(b)
}
