package fault

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"strings"
)

// tokenField begins each message that the clients send. What stands above it
// when the message arrives is trace of the servers it came through; from it on
// each octet must be as it was.
const tokenField = "X-Fault-Token: "

// sender is the reverse-path of all messages: DSNs go to a sink of ours.
const sender = "sender@" + senderDomain

const senderDomain = "sender.test"

// compose makes a message of about size octets that can be told from all
// others, wherever it is cut or mixed with another.
func compose(random *rand.Rand, token string, rcpts []string, size int) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s%s\r\nFrom: <%s>\r\nTo: <%s>\r\nSubject: message %s\r\n\r\n", tokenField, token, sender, strings.Join(rcpts, ">, <"), token)
	for b.Len() < size {
		if random.IntN(10) == 0 {
			b.WriteByte('.') // dots are doubled on the wire
		}
		fmt.Fprintf(&b, "%s %016x%016x\r\n", token, random.Uint64(), random.Uint64())
	}
	return b.Bytes()
}

// original finds the message in what arrived: its token, and the octets from
// the token on. ok is false if there is none.
func original(content []byte) (token string, octets []byte, ok bool) {
	at := bytes.Index(content, []byte(tokenField))
	if at < 0 || at > 0 && content[at-1] != '\n' {
		return "", nil, false
	}
	line, _, ok := bytes.Cut(content[at+len(tokenField):], []byte("\r\n"))
	return string(line), content[at:], ok
}

type sum = [sha256.Size]byte

// A notice is what a DSN says.
type notice struct {
	id     string   // its Message-ID
	token  string   // of the message that it returns; of its envelope, if the message could not be read any more
	failed []string // the recipients that it reports as failed
}

// readNotice reads a DSN, by its lines: to judge its form is the work of others.
func readNotice(content []byte) (n notice, ok bool) {
	about, envelope := "", ""
	for line := range strings.Lines(string(content)) {
		line = strings.TrimRight(line, "\r\n")
		switch name, value, _ := strings.Cut(line, ": "); strings.ToLower(name) {
		case "message-id":
			if n.id == "" {
				n.id = value
			}
		case "final-recipient":
			_, about, _ = strings.Cut(value, ";")
			about = strings.TrimSpace(about)
		case "action":
			if strings.EqualFold(value, "failed") && about != "" {
				n.failed = append(n.failed, about)
			}
		case "x-fault-token":
			n.token = value
		case "original-envelope-id":
			envelope = value
		}
	}
	if n.token == "" {
		n.token = envelope
	}
	return n, n.id != "" && n.token != "" && len(n.failed) > 0
}
