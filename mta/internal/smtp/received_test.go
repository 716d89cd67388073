package smtp

import (
	"testing"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

func TestProtocolWords(t *testing.T) {
	for want, tt := range map[string]struct {
		client mail.Client
		utf8   bool
	}{
		"SMTP":       {},
		"ESMTP":      {client: mail.Client{Extended: true}},
		"ESMTPA":     {client: mail.Client{Extended: true, Account: "a"}},
		"ESMTPS":     {client: mail.Client{Extended: true, TLS: "x"}},
		"ESMTPSA":    {client: mail.Client{Extended: true, TLS: "x", Account: "a"}},
		"UTF8SMTP":   {client: mail.Client{Extended: true}, utf8: true},
		"UTF8SMTPSA": {client: mail.Client{Extended: true, TLS: "x", Account: "a"}, utf8: true},
		"LMTP":       {client: mail.Client{Listener: mail.ListenerLMTP, Extended: true}},
		"LMTPS":      {client: mail.Client{Listener: mail.ListenerLMTP, Extended: true, TLS: "x"}},
		"UTF8LMTP":   {client: mail.Client{Listener: mail.ListenerLMTP, Extended: true}, utf8: true},
	} {
		if got := protocol(&tt.client, tt.utf8); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
