package host

import (
	"strings"
	"unicode/utf8"

	"github.com/wasmta/wasmta/sdk/abi"
)

// Route is route: mail for a recipient, or for all, goes to this next hop. It
// takes the place of an earlier route or deliver.
func (c *Call) Route(rcpt int32, host string, port, flags int32) abi.Errno {
	if !isHost(host) || port < 0 || port > 65535 || flags&^(abi.RouteRequireTLS|abi.RouteNoMX) != 0 {
		return abi.BadArg
	}
	return c.each(rcpt, func(r *Recipient) {
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
	if hasControl(mailbox) || !utf8.ValidString(mailbox) || !isFolder(folder) || !areFlags(flags) {
		return abi.BadArg
	}
	return c.each(rcpt, func(r *Recipient) {
		r.Route = nil
		r.Deliver = &Target{Account: mailbox, Folder: folder, Flags: flags}
	})
}

// Quarantine is quarantine: the message is accepted and held for the operator,
// whatever the hook returns short of a refusal.
func (c *Call) Quarantine(reason string) abi.Errno {
	if reason == "" || !isText(reason) {
		return abi.BadArg
	}
	if len(reason) > c.limits.ReasonOctets {
		return abi.Limit
	}
	c.hold = reason
	return abi.OK
}

// The functions below have their place in the ABI and no service behind them
// yet; [Call.Has] answers 0 for them.

// RetryAt is retry_at.
func (c *Call) RetryAt(rcpt int32, ms int64) abi.Errno { return abi.Unsupported }

// VariantNew is variant_new.
func (c *Call) VariantNew(ids []int32) int32 { return int32(abi.Unsupported) }

// VariantSelect is variant_select.
func (c *Call) VariantSelect(variant int32) abi.Errno { return abi.Unsupported }

// Send is send.
func (c *Call) Send(sender, recipients string, blob int32) abi.Errno { return abi.Unsupported }

// KvGet is kv_get.
func (c *Call) KvGet(key string) ([]byte, abi.Errno) { return nil, abi.Unsupported }

// KvSet is kv_set.
func (c *Call) KvSet(key string, value []byte, ttlMS int64) abi.Errno { return abi.Unsupported }

// KvDel is kv_del.
func (c *Call) KvDel(key string) abi.Errno { return abi.Unsupported }

// KvAdd is kv_add.
func (c *Call) KvAdd(key string, delta, ttlMS int64) (int64, abi.Errno) { return 0, abi.Unsupported }

// KvCas is kv_cas.
func (c *Call) KvCas(key string, old, value []byte, ttlMS int64) abi.Errno { return abi.Unsupported }

// DNS is dns.
func (c *Call) DNS(qtype int32, name string) (string, abi.Errno) { return "", abi.Unsupported }

// Counter is counter.
func (c *Call) Counter(name string, delta int64) {}

// Observe is observe.
func (c *Call) Observe(name string, value float64) {}

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
