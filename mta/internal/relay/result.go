package relay

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/relay/dane"
	"github.com/wasmta/wasmta/mta/internal/smtp"
	"github.com/wasmta/wasmta/mta/internal/smtpc"
)

// deferred and bounced are results in our own words.
func deferred(code int, enh, text string, err error) mail.Result {
	return mail.Result{Outcome: mail.Deferred, Code: code, Enh: enh, Text: text, Err: err}
}

func bounced(code int, enh, text string) mail.Result {
	return mail.Result{Outcome: mail.Bounced, Code: code, Enh: enh, Text: text}
}

// replied is the result that a peer's reply stands for.
func replied(r *smtp.Reply) mail.Result {
	res := mail.Result{Outcome: mail.Deferred, Code: r.Code, Enh: r.Enh.String(), Text: r.Text, Peer: true}
	switch r.Code / 100 {
	case 2:
		res.Outcome = mail.Relayed
	case 5:
		res.Outcome = mail.Bounced
	}
	return res
}

// unreached is the result of a host that no transaction was begun with. Only a
// host that refuses us for good makes it a bounce.
func unreached(where string, err error) mail.Result {
	var res mail.Result
	reply, said := errors.AsType[*smtp.Reply](err)
	_, auth := errors.AsType[*smtpc.AuthError](err)
	_, secure := errors.AsType[*smtpc.TLSError](err)
	switch {
	case auth: // our credentials are wrong, not the message
		res = deferred(454, "4.7.0", "authentication at "+where+" failed: "+reason(err), err)
	case secure:
		res = deferred(454, "4.7.5", "TLS with "+where+" failed: "+reason(err), err)
	case said:
		res = replied(reply)
		res.Err = err
	case errors.Is(err, errClosed):
		res = deferred(451, "4.3.2", "interrupted", err)
	case errors.Is(err, ErrBusy):
		res = deferred(451, "4.4.5", "too many connections already", err)
	default:
		res = deferred(451, "4.4.1", "connect to "+where+": "+reason(err), err)
	}
	res.NextHop = where
	return res
}

// cutOff is the result of a connection that failed in a transaction.
func cutOff(where string, stage smtpc.Stage, err error) mail.Result {
	text := fmt.Sprintf("connection to %s failed in %s: %s", where, stage, reason(err))
	if stage == smtpc.StageEnd {
		text = fmt.Sprintf("no reply from %s after the message was sent (%s); it may arrive twice", where, reason(err))
	}
	res := deferred(451, "4.4.2", text, err)
	res.NextHop, res.Unanswered = where, stage == smtpc.StageEnd
	return res
}

// reason is what may be told to the world of err: no addresses of this host,
// and no passwords.
func reason(err error) string {
	if errors.Is(err, context.Canceled) {
		return "interrupted"
	}
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) || isTimeout(err) {
		return "timed out"
	}
	for _, closed := range []error{io.EOF, io.ErrUnexpectedEOF, io.ErrClosedPipe, net.ErrClosed} {
		if errors.Is(err, closed) {
			return "connection closed"
		}
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno.Error()
	}
	if reply, ok := errors.AsType[*smtp.Reply](err); ok {
		return reply.Error()
	}
	if cert, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return cert.Error()
	}
	if text := certReason(err); text != "" {
		return text
	}
	for _, known := range []error{smtpc.ErrNoTLS, smtpc.ErrNoAuth, smtpc.ErrPlainAuth, smtpc.ErrProtocol, errSelf, errNoRequireTLS, dane.ErrMismatch} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return "failed"
}

func isTimeout(err error) bool {
	ne, ok := errors.AsType[net.Error](err)
	return ok && ne.Timeout()
}
