package host

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/wasmta/wasmta/sdk/abi"
)

// ErrVerdict is what a plugin did wrong when its hook's result is no verdict,
// or does not fit the reply that it gave.
var ErrVerdict = errors.New("bad verdict")

// An Answer is a verdict with its details.
type Answer struct {
	Verdict abi.Verdict
	Reply   *Reply // nil: the server's own words
	Reason  string // of quarantine
}

// Answer reads what a hook returned. A negative answer has the reply that the
// plugin gave; the reply's class must fit it.
func (c *Call) Answer(result int32) (Answer, error) {
	v := abi.Verdict(result)
	if v < 0 || v > abi.LastVerdict {
		return Answer{}, fmt.Errorf("%w: %s returned %d, which is none", ErrVerdict, c.in.Hook, result)
	}
	if !v.In(c.in.Hook) {
		return Answer{}, fmt.Errorf("%w: %s returned %s, which it cannot", ErrVerdict, c.in.Hook, v)
	}
	a := Answer{Verdict: v, Reply: c.reply, Reason: c.hold}
	if c.reply != nil && !fits(c.reply.Code, v) {
		return Answer{}, fmt.Errorf("%w: %s returned %s after a reply of %d", ErrVerdict, c.in.Hook, v, c.reply.Code)
	}
	return a, nil
}

// fits tells whether a reply's code can be that of a verdict. 421 and 521 end
// the session (RFC 5321 §3.8, RFC 7504), so they are disconnect's alone.
func fits(code int, v abi.Verdict) bool {
	switch v {
	case abi.Reject:
		return code >= 500 && !closes(code)
	case abi.Defer:
		return code < 500 && !closes(code)
	case abi.Disconnect:
		return true
	}
	return false
}

func closes(code int) bool { return code == 421 || code == 521 }

// Reply is reply: what the client hears if the verdict is negative. The last
// call counts; code 0 takes the reply back.
func (c *Call) Reply(code int32, enhanced, text string) abi.Errno {
	if e := c.may(abi.AccessReply); e != abi.OK {
		return e
	}
	if code == 0 {
		c.reply = nil
		return abi.OK
	}
	r, e := newReply(code, enhanced, text)
	if e == abi.OK {
		c.reply = r
	}
	return e
}

// RcptReply is rcpt_reply: a no to one recipient, whatever becomes of the
// others. The last call counts; code 0 takes it back. It does not end the
// session, so that 421 and 521 are none of its codes.
func (c *Call) RcptReply(id, code int32, enhanced, text string) abi.Errno {
	r, e := c.change(id, abi.AccessReplyRcpt)
	if e != abi.OK {
		return e
	}
	var reply *Reply
	if code != 0 {
		if reply, e = newReply(code, enhanced, text); e != abi.OK {
			return e
		}
		if closes(reply.Code) {
			return abi.BadArg
		}
	}
	r.Recipient.Reply, c.rcptsSet = reply, true
	return abi.OK
}

// GivenReply is the reply that the plugin gave so far; nil if none. It is what
// on_load explains its refusal with.
func (c *Call) GivenReply() *Reply { return c.reply }

func newReply(code int32, enhanced, text string) (*Reply, abi.Errno) {
	if code < 400 || code > 599 || !isText(text) {
		return nil, abi.BadArg
	}
	if enhanced != "" && !isEnhanced(enhanced, byte('0'+code/100)) {
		return nil, abi.BadArg
	}
	if len(text) > MaxReplyText {
		return nil, abi.Limit
	}
	return &Reply{Code: int(code), Enhanced: enhanced, Text: text}, abi.OK
}

// isEnhanced tells whether s is an enhanced status code of that class
// (RFC 3463 §2).
func isEnhanced(s string, class byte) bool {
	if len(s) < 5 || s[0] != class || s[1] != '.' {
		return false
	}
	dots, digits := 0, 0
	for i := 2; i < len(s); i++ {
		switch c := s[i]; {
		case c >= '0' && c <= '9' && digits < 3:
			digits++
		case c == '.' && digits > 0 && dots == 0:
			dots, digits = 1, 0
		default:
			return false
		}
	}
	return dots == 1 && digits > 0
}

// isText tells whether s can stand in a reply: UTF-8 without control
// characters.
func isText(s string) bool { return utf8.ValidString(s) && !hasControl(s) }
