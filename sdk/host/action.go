package host

import (
	"strings"
	"time"
	"unicode/utf8"

	"github.com/wasmta/wasmta/sdk/abi"
)

// Route is route: mail for a recipient, or for all, goes to this next hop. It
// takes the place of an earlier route or deliver.
func (c *Call) Route(rcpt int32, host string, port, flags int32) abi.Errno {
	if e := c.may(abi.AccessRoute); e != abi.OK {
		return e
	}
	if !isHost(host) || port < 0 || port > 65535 || flags&^(abi.RouteRequireTLS|abi.RouteNoMX) != 0 {
		return abi.BadArg
	}
	return c.each(rcpt, abi.AccessRoute, func(r *Recipient) {
		r.Deliver = nil
		r.Route = &Route{
			Host: host, Port: int(port),
			RequireTLS: flags&abi.RouteRequireTLS != 0, NoMX: flags&abi.RouteNoMX != 0,
		}
	})
}

// Deliver is deliver: mail for a recipient, or for all, goes to a folder of an
// account here; the empty account is the recipient's own, the empty folder is
// INBOX. It takes the place of an earlier route or deliver.
func (c *Call) Deliver(rcpt int32, mailbox, folder, flags string) abi.Errno {
	if e := c.may(abi.AccessDeliver); e != abi.OK {
		return e
	}
	if hasControl(mailbox) || !utf8.ValidString(mailbox) || !isFolder(folder) || !areFlags(flags) {
		return abi.BadArg
	}
	return c.each(rcpt, abi.AccessDeliver, func(r *Recipient) {
		r.Route = nil
		r.Deliver = &Target{Account: mailbox, Folder: folder, Flags: flags}
	})
}

// Quarantine is quarantine: the message is accepted and held for the operator,
// whatever the hook returns short of a refusal.
func (c *Call) Quarantine(reason string) abi.Errno {
	if e := c.may(abi.AccessQuarantine); e != abi.OK {
		return e
	}
	if reason == "" || !isText(reason) {
		return abi.BadArg
	}
	if len(reason) > c.limits.ReasonOctets {
		return abi.Limit
	}
	c.hold = reason
	return abi.OK
}

// RetryAt is retry_at: the next attempt for a recipient, or for all, is to be
// at that time, in milliseconds since 1970, UTC; zero leaves it to the queue.
// The queue still ends as it always does when it has tried for too long.
func (c *Call) RetryAt(rcpt int32, ms int64) abi.Errno {
	if e := c.may(abi.AccessRetry); e != abi.OK {
		return e
	}
	if ms < 0 || ms > maxTime {
		return abi.BadArg
	}
	at := time.Time{}
	if ms > 0 {
		at = time.UnixMilli(ms).UTC()
	}
	return c.each(rcpt, abi.AccessRetry, func(r *Recipient) { r.RetryAt = at })
}

// maxTime is the last millisecond of the year 9999: what comes after cannot be
// written in RFC 3339, so not in logs or JSON.
const maxTime = 253402300799999

// isHost tells whether s is a host name or an address, in brackets or not.
func isHost(s string) bool {
	if s == "" || len(s) > 255 || hasControl(s) || !utf8.ValidString(s) {
		return false
	}
	return !strings.ContainsAny(s, ` "'()<>,;@\/%`)
}

// isFolder tells whether s names a folder, `/` between its levels.
func isFolder(s string) bool {
	if s == "" {
		return true
	}
	if len(s) > 255 || hasControl(s) || !utf8.ValidString(s) {
		return false
	}
	for level := range strings.SplitSeq(s, "/") {
		if level == "" || level == "." || level == ".." {
			return false
		}
	}
	return true
}

// areFlags tells whether s is a list of IMAP flags (RFC 9051 §2.3.2).
func areFlags(s string) bool {
	if len(s) > 255 {
		return false
	}
	for flag := range strings.FieldsSeq(s) {
		flag = strings.TrimPrefix(flag, `\`)
		if flag == "" || strings.ContainsAny(flag, `(){}%*"\]`) || hasControl(flag) || !isASCII(flag) {
			return false
		}
	}
	return !hasControl(s)
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
