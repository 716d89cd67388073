package origin

import (
	"regexp"
	"strings"
	"testing"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

var source = Source{Hostname: "hamburger.edu", Stage: "out of (office)"}

func sent(from, content string) *mail.Transaction {
	tx := &mail.Transaction{Content: mail.Bytes(content)}
	tx.Envelope.Recipients = []mail.Recipient{{Path: mail.Path{Local: "alice", Domain: "crepes.fr"}}}
	if from != "" {
		tx.Envelope.ReversePath = mail.Path{Local: from, Domain: "hamburger.edu"}
	}
	return tx
}

func TestComplete(t *testing.T) {
	const date = `\w{3}, \d+ \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}\r\n`
	const received = `Received: by hamburger\.edu \(stage out_of__office_\)\r\n\tid [0-9A-Z]{16};\r\n\t` + date
	for _, tt := range []struct {
		name, from, content, want string
		body                      mail.Body
		utf8                      bool
	}{
		{
			name: "all is there", from: "bob",
			content: "From: b@c\r\nDate: today\r\nMessage-ID: <1@c>\r\nAuto-Submitted: auto-notified\r\n\r\nhi\r\n",
			want:    received + `From: b@c\r\nDate: today\r\nMessage-ID: <1@c>\r\nAuto-Submitted: auto-notified\r\n\r\nhi\r\n`,
		},
		{
			name: "a subject alone", from: "bob", content: "Subject: hi\r\n\r\nhi\r\n",
			want: received + `From: bob@hamburger\.edu\r\nDate: ` + date +
				`Message-ID: <[0-9A-Z]{16}@hamburger\.edu>\r\nAuto-Submitted: auto-replied\r\nSubject: hi\r\n\r\nhi\r\n`,
		},
		{
			name: "from nobody, and no header section", content: "hi there\r\n",
			want: received + `From: MAILER-DAEMON@hamburger\.edu\r\nDate: ` + date +
				`Message-ID: <[0-9A-Z]{16}@hamburger\.edu>\r\nAuto-Submitted: auto-replied\r\n\r\nhi there\r\n`,
		},
		{
			name: "eight bits in the body", from: "bob", content: "From: b@c\r\nDate: x\r\nMessage-ID: <1@c>\r\nAuto-Submitted: no\r\n\r\ncr\xc3\xaape\r\n",
			want: received + "From.*(?s).*cr\xc3\xaape\r\n", body: mail.Body8Bit,
		},
		{
			name: "UTF-8 in the header section", from: "bob", content: "From: b@c\r\nDate: x\r\nMessage-ID: <1@c>\r\nAuto-Submitted: no\r\nSubject: cr\xc3\xaape\r\n\r\n",
			want: received + "From.*(?s).*cr\xc3\xaape\r\n\r\n", body: mail.Body8Bit, utf8: true,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tx := sent(tt.from, tt.content)
			if err := Complete(tx, source); err != nil {
				t.Fatal(err)
			}
			octets, err := mail.ReadAll(tx.Content)
			if err != nil {
				t.Fatal(err)
			}
			if !regexp.MustCompile(`\A` + tt.want + `\z`).Match(octets) {
				t.Errorf("got %q, want it to match %q", octets, tt.want)
			}
			if tx.Envelope.Body != tt.body || tx.Envelope.UTF8 != tt.utf8 {
				t.Errorf("needs %q and UTF8 %t, want %q and %t", tx.Envelope.Body, tx.Envelope.UTF8, tt.body, tt.utf8)
			}
			if tx.SentBy != source.Stage || !strings.Contains(string(octets), string(tx.ID)) || tx.Received.IsZero() {
				t.Errorf("the transaction is %+v", tx)
			}
		})
	}
}

func TestNobodyToSendTo(t *testing.T) {
	tx := sent("bob", "hi\r\n")
	tx.Envelope.Recipients = nil
	if err := Complete(tx, source); err == nil {
		t.Error("it was completed")
	}
}
