// Package mta is what a plugin of mta is written with in Go. A plugin is a
// package main that registers a hook when it starts:
//
//	package main
//
//	import mta "github.com/wasmta/wasmta/sdk/go"
//
//	func init() {
//		mta.OnMessage(func(m *mta.Message) mta.Verdict {
//			m.Header().Add("X-Hello", "from Wasm")
//			return mta.Continue
//		})
//	}
//
//	func main() {}
//
// It is built for WebAssembly, as a reactor:
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -o hello.wasm
//
// and tested natively with sdk/go/mtatest. The hooks of sessions and of the
// queue have packages of their own: see [OnMessage].
//
// A plugin has one thread; nothing here is safe for concurrent use, and what a
// hook is given is valid until it returns. What a hook changes is kept if it
// returns, and undone if it panics or takes too long. Do not count on
// variables to keep their values from one message to the next.
package mta

import (
	"errors"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/wasmta/wasmta/sdk/abi"
	"github.com/wasmta/wasmta/sdk/go/internal/guest"
)

// A Verdict is what a hook answers. Those below are whole; [Reject], [Defer],
// [Quarantine] and [Disconnect] make the others.
type Verdict = abi.Verdict

const (
	Continue = abi.Continue // ask the next stage
	Accept   = abi.Accept   // skip the stages that are left
	Discard  = abi.Discard  // say 250 and drop the message
	NotAgain = abi.NotAgain // continue, and do not ask this stage again for this message
)

// OnLoad registers what runs once, when the server loads the plugin: the place
// to read the configuration. The text of an error tells the operator why the
// server did not start.
//
// A native test loads a plugin many times in one process, so f sets
// everything it sets, whatever was there before.
func OnLoad(f func() error) {
	guest.Register(abi.HookLoad, func() int32 {
		err := f()
		if err == nil {
			return 0
		}
		refuseToLoad(err)
		return 1
	})
}

// OnMessage registers what runs for each message, before its sender hears
// whether it was accepted. The other hooks have packages of their own, from
// [github.com/wasmta/wasmta/sdk/go/onconnect] to
// [github.com/wasmta/wasmta/sdk/go/ondisconnect]: importing one of them makes
// the server ask.
func OnMessage(f func(*Message) Verdict) {
	guest.Register(abi.HookMessage, func() int32 { return int32(f(&Message{})) })
}

// refuseToLoad gives the reason as a reply, of which the host makes its error.
// If there are more findings than fit one line, all of them are in the log.
func refuseToLoad(err error) {
	text := err.Error()
	var config *ConfigError
	if errors.As(err, &config) && len(text) > maxReason {
		text = summary(config.Findings)
	}
	guest.Reply(550, "", printable(text, maxReason))
}

// summary logs findings, and is as many of them as fit.
func summary(findings []string) string {
	for _, f := range findings {
		Error(f)
	}
	for n := len(findings) - 1; n > 0; n-- {
		more := "; and " + strconv.Itoa(len(findings)-n) + " more, which are in the log"
		if s := strings.Join(findings[:n], "; ") + more; len(s) <= maxReason {
			return s
		}
	}
	return findings[0]
}

// Reject refuses the message for good: the client hears code (500 to 599), the
// enhanced status code (RFC 3463; may be empty) and the text, in one line. If
// the host does not take them, the client hears the server's own words.
func Reject(code int, enhanced, text string) Verdict {
	return refuse(abi.Reject, code, enhanced, text)
}

// Defer refuses the message for now: as [Reject], with a code of 400 to 499.
func Defer(code int, enhanced, text string) Verdict {
	return refuse(abi.Defer, code, enhanced, text)
}

// Disconnect refuses the message and closes the session. Code 421 is for now,
// 521 for good (RFC 5321 §3.8, RFC 7504).
func Disconnect(code int, enhanced, text string) Verdict {
	return refuse(abi.Disconnect, code, enhanced, text)
}

// Quarantine accepts the message and holds it, for that reason, until an
// operator decides.
func Quarantine(reason string) Verdict {
	if guest.Quarantine(printable(reason, maxReason)) < 0 {
		guest.Quarantine("held by a plugin")
	}
	return abi.Quarantine
}

// Fail is the verdict of a plugin that cannot do its work on this message: what
// it changed is undone, and the stage's on_error decides. The log says why.
func Fail(err error) Verdict {
	Error(err.Error())
	return failure
}

// failure is no verdict, which is what makes a host ask on_error.
const failure Verdict = -1

// The most of a text that the host takes, in octets.
const (
	maxReplyText = 490
	maxReason    = 280 // a log line has it, among other things
)

func refuse(v Verdict, code int, enhanced, text string) Verdict {
	if !fits(v, code) || guest.Reply(int32(code), enhanced, printable(text, maxReplyText)) < 0 {
		Warn("this reply cannot be given, so the server's own is", "text", text, "enhanced", enhanced)
		guest.Reply(0, "", "")
	}
	return v
}

func fits(v Verdict, code int) bool {
	switch v {
	case abi.Reject:
		return code >= 500 && code <= 599
	case abi.Defer:
		return code >= 400 && code <= 499
	}
	return true
}

// Line is s as one line of text that can stand in a header field: control
// characters become blanks, very long gaps become shorter, and what is no
// UTF-8 becomes U+FFFD. A header field refuses anything else, so use it for
// text from outside.
func Line(s string) string {
	b := make([]byte, 0, len(s))
	gap := 0
	for _, r := range s {
		if r <= ' ' || r == 0x7f {
			r = ' '
			gap++
		} else {
			gap = 0
		}
		if gap <= maxGap {
			b = utf8.AppendRune(b, r)
		}
	}
	return string(b)
}

// maxGap is the most blanks in a row that [Line] leaves. A line of 998 octets
// has to be folded between words (RFC 5322 §2.1.1).
const maxGap = 64

// printable is s as one line of at most limit octets.
func printable(s string, limit int) string {
	if len(s) <= limit && isPrintable(s) {
		return s
	}
	b := make([]byte, 0, min(len(s), limit))
	for _, r := range s {
		if r < ' ' || r == 0x7f {
			r = ' '
		}
		if next := string(r); len(b)+len(next) <= limit {
			b = append(b, next...)
			continue
		}
		break
	}
	return string(b)
}

func isPrintable(s string) bool {
	for _, r := range s {
		if r < ' ' || r == 0x7f || r == '\uFFFD' {
			return false
		}
	}
	return true
}

// Now is the host's time, in UTC. In tests it is what the test says.
func Now() time.Time { return time.UnixMilli(guest.NowMS()).UTC() }

// Left is how much of its time the plugin has left for this call.
func Left() time.Duration { return time.Duration(guest.DeadlineMS()) * time.Millisecond }

// Random fills b with random octets.
func Random(b []byte) error { return failed("random", guest.Random(b)) }
