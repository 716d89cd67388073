package host

import (
	"bytes"
	"strings"

	"github.com/wasmta/wasmta/sdk/abi"
)

// Send is send: a message that the plugin originates, queued together with the
// one it is asked about. The recipients stand one a line; the blob is the whole
// message, whose lines come to end in CRLF whatever they ended in. Because of
// mail that is automatic itself nothing is sent: [abi.Loop].
func (c *Call) Send(sender, recipients string, blob int32) abi.Errno {
	if e := c.may(abi.AccessSend); e != abi.OK {
		return e
	}
	var err abi.Errno
	if sender != "" {
		if sender, err = c.path(sender); err != abi.OK {
			return err
		}
	}
	rcpts, err := c.paths(recipients)
	if err != abi.OK {
		return err
	}
	octets, err := c.blob(blob)
	if err != abi.OK {
		return err
	}
	if len(octets) == 0 || bytes.IndexByte(octets, 0) >= 0 {
		return abi.BadArg
	}
	if len(c.sends) >= c.limits.Sends {
		return abi.Limit
	}
	if err := c.checkLoop(); err != abi.OK {
		return err
	}
	c.sends = append(c.sends, Sent{Sender: sender, Recipients: rcpts, Octets: withCRLF(octets)})
	return abi.OK
}

// withCRLF is b with CRLF at the end of each line, the last one too.
func withCRLF(b []byte) []byte {
	if hasOnlyCRLF(b) && bytes.HasSuffix(b, []byte("\r\n")) {
		return b
	}
	b = bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n"))
	b = bytes.ReplaceAll(b, []byte("\r"), []byte("\n"))
	b = append(bytes.TrimSuffix(b, []byte("\n")), '\n')
	return bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n"))
}

// paths are addresses that stand one a line.
func (c *Call) paths(lines string) ([]string, abi.Errno) {
	var all []string
	for line := range strings.SplitSeq(strings.TrimSuffix(lines, "\n"), "\n") {
		if len(all) >= c.limits.SendRecipients {
			return nil, abi.Limit
		}
		address, e := c.path(line)
		if e != abi.OK {
			return nil, e
		}
		all = append(all, address)
	}
	return all, abi.OK
}

// checkLoop is [abi.Loop] for a message that must not cause another one: one
// with the null reverse-path (RFC 3834 §2), one that says it is automatic (RFC
// 3834 §5), one from a list (RFC 2919), and what older software marks as such.
func (c *Call) checkLoop() abi.Errno {
	if c.in.Sender == "" {
		return abi.Loop
	}
	m, e := c.base()
	if e != abi.OK {
		return e
	}
	for _, field := range automatic {
		for i := int32(0); ; i++ {
			if i, e = m.HdrFind(abi.Root, field.name, i); e != abi.OK {
				if e != abi.NotFound {
					return e
				}
				break
			}
			v, e := m.HdrValue(abi.Root, i, abi.HdrUnfolded)
			if e != abi.OK {
				return e
			}
			if field.is(strings.ToLower(strings.TrimSpace(string(v)))) {
				return abi.Loop
			}
		}
	}
	return abi.OK
}

// automatic are the fields by which automatic mail is known, and their values
// that say so.
var automatic = [...]struct {
	name string
	is   func(value string) bool
}{
	{"Auto-Submitted", func(v string) bool {
		keyword, _, _ := strings.Cut(v, ";") // parameters may follow (RFC 3834 §5)
		keyword, _, _ = strings.Cut(keyword, "(")
		return strings.TrimSpace(keyword) != "no"
	}},
	{"Precedence", func(v string) bool { return v == "bulk" || v == "list" || v == "junk" }},
	{"List-Id", func(string) bool { return true }},
}
