package smtpd

import (
	"context"
	"errors"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/smtp"
	"github.com/wasmta/wasmta/mta/internal/transcript"
)

// setups say what the servers of the transcripts have; the folder of a
// transcript names one.
var setups = map[string]func(*Server){
	"smtp": func(*Server) {},
	"limits": func(srv *Server) {
		srv.Limits = Limits{Message: 100, Recipients: 2, Line: 80, Errors: 3, Hops: 2, Messages: 2}
	},
	"submission":         func(srv *Server) { srv.Listener = mail.ListenerSubmission },
	"lmtp":               func(srv *Server) { srv.Listener = mail.ListenerLMTP },
	"relay":              func(srv *Server) { srv.RelayAllow = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} },
	"policy":             func(srv *Server) { srv.Policy = policyFunc(byLocalPart) },
	"hooks":              hooked(nil),
	"connect-reject":     hooked(wordy{"connect": "reject"}),
	"connect-words":      hooked(wordy{"connect": "words"}),
	"connect-defer":      hooked(wordy{"connect": "defer"}),
	"connect-later":      hooked(wordy{"connect": "later"}),
	"connect-disconnect": hooked(wordy{"connect": "disconnect"}),
	"connect-fail":       hooked(wordy{"connect": "fail"}),
	"auth-reject":        hookedUsers(wordy{"auth": "reject"}),
	"auth-defer":         hookedUsers(wordy{"auth": "defer"}),
	"auth-disconnect":    hookedUsers(wordy{"auth": "disconnect"}),
	"hooks-lmtp": func(srv *Server) {
		srv.Listener = mail.ListenerLMTP
		hooked(nil)(srv)
	},
	"full": func(srv *Server) {
		srv.Queue = &memoryQueue{fail: errors.New("write index.bolt: no space left on device")}
	},
}

func hookedUsers(w wordy) func(*Server) {
	return func(srv *Server) {
		srv.Listener = mail.ListenerSubmission
		hooked(w)(srv)
	}
}

// byLocalPart gives the verdict that the reverse-path asks for.
func byLocalPart(_ context.Context, tx *mail.Transaction) (mail.Verdict, error) {
	switch tx.Envelope.ReversePath.Local {
	case "reject":
		return mail.Reject, nil
	case "reject.text":
		return mail.Reject, &smtp.Reply{Code: 550, Enh: smtp.Enh{5, 7, 1}, Text: "No ketchup here\r\nover"}
	case "reject.wrapped":
		return mail.Reject, errors.Join(errors.New("private"), &smtp.Reply{Code: 554, Enh: smtp.Enh{5, 7, 1}, Text: "Said in public"})
	case "reject.softly":
		return mail.Reject, &smtp.Reply{Code: 451, Text: "is no reject"}
	case "defer":
		return mail.Defer, nil
	case "fail":
		return mail.Continue, errors.New("plugin trapped: secret")
	case "discard":
		return mail.Discard, nil
	case "empty":
		tx.Envelope.Recipients = nil
	case "disconnect":
		return mail.Disconnect, nil
	case "unknown":
		return 99, nil
	case "panic":
		panic("policy")
	}
	return mail.Accept, nil
}

func TestTranscripts(t *testing.T) {
	serverTLS, clientTLS := testTLS(t)
	for name, setup := range setups {
		for _, file := range transcript.Files(t, filepath.Join("testdata", name, "*.txt")) {
			t.Run(strings.TrimSuffix(filepath.ToSlash(file[len("testdata/"):]), ".txt"), func(t *testing.T) {
				t.Parallel()
				srv, _ := newServer(t)
				srv.TLS = serverTLS
				setup(srv)
				script := transcript.Script{TLS: clientTLS}
				script.Run(t, transcript.Dial(t, serve(t, srv)), file)
			})
		}
	}
}
