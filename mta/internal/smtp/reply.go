// Package smtp is what both ends of SMTP share: replies and enhanced status
// codes, the grammar of commands, and the framing of DATA (RFC 5321). It opens
// no connection and keeps no state.
package smtp

import (
	"errors"
	"fmt"
	"strings"
)

// Enh is an enhanced status code (RFC 3463). The zero Enh is none.
type Enh [3]int

// String is "5.7.1", or empty for the zero Enh.
func (e Enh) String() string {
	if e == (Enh{}) {
		return ""
	}
	return fmt.Sprintf("%d.%d.%d", e[0], e[1], e[2])
}

// ParseEnh reads "5.7.1"; ok is false for anything else.
func ParseEnh(s string) (e Enh, ok bool) {
	parts := strings.Split(s, ".")
	if len(parts) != 3 {
		return Enh{}, false
	}
	for i, p := range parts {
		if p == "" || len(p) > 3 {
			return Enh{}, false
		}
		for j := range len(p) {
			if p[j] < '0' || p[j] > '9' {
				return Enh{}, false
			}
			e[i] = e[i]*10 + int(p[j]-'0')
		}
	}
	return e, e[0] == 2 || e[0] == 4 || e[0] == 5
}

// A Reply is what a server answers. It is the only error whose text leaves
// this host; its class decides what a client does next: 5 is final, 4 is tried
// again (RFC 5321 §4.2.1).
type Reply struct {
	Code int
	Enh  Enh
	Text string // lines divided by "\n"; printable, no CR
}

// Error implements error.
func (r *Reply) Error() string {
	text := strings.ReplaceAll(r.Text, "\n", " ")
	if e := r.Enh.String(); e != "" {
		return fmt.Sprintf("%d %s %s", r.Code, e, text)
	}
	return fmt.Sprintf("%d %s", r.Code, text)
}

// Temporary tells whether the client may try again.
func (r *Reply) Temporary() bool { return r.Code >= 400 && r.Code < 500 }

// Positive tells whether the command was done.
func (r *Reply) Positive() bool { return r.Code >= 200 && r.Code < 400 }

// ErrTemporary is what a peer hears of an error that is none of its business.
var ErrTemporary = &Reply{Code: 451, Enh: Enh{4, 3, 0}, Text: "Local error in processing, try again later"}

// ReplyTo returns the reply that err carries, or [ErrTemporary]. It is nil
// only if err is.
func ReplyTo(err error) *Reply {
	if err == nil {
		return nil
	}
	if r, ok := errors.AsType[*Reply](err); ok {
		return r
	}
	return ErrTemporary
}
