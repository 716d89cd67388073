package smtpd

import (
	"context"
	"errors"
	"net/mail"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"

	nouns "github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/transcript"
)

func TestReceived(t *testing.T) {
	one := []nouns.Recipient{{Path: nouns.Path{Local: "robert", Domain: "inside.example"}, Original: nouns.Path{Local: "bob", Domain: "hamburger.edu"}}}
	v4 := netip.MustParseAddrPort("192.0.2.1:4000")
	for _, tt := range []struct {
		name   string
		client nouns.Client
		rcpts  []nouns.Recipient
		utf8   bool
		want   string // with line breaks as blanks, up to the date
	}{
		{
			name:   "HELO",
			client: nouns.Client{Addr: v4, Helo: "crepes.fr"},
			rcpts:  one,
			want:   "from crepes.fr ([192.0.2.1]) by hamburger.edu with SMTP id ID for <bob@hamburger.edu>",
		},
		{
			name:   "EHLO with a name that is known",
			client: nouns.Client{Addr: v4, Name: "mx.crepes.fr", Helo: "crepes.fr", Extended: true},
			rcpts:  one,
			want:   "from crepes.fr (mx.crepes.fr [192.0.2.1]) by hamburger.edu with ESMTP id ID for <bob@hamburger.edu>",
		},
		{
			name:   "two recipients are not named",
			client: nouns.Client{Addr: v4, Helo: "crepes.fr", Extended: true},
			rcpts:  append(one, one...),
			want:   "from crepes.fr ([192.0.2.1]) by hamburger.edu with ESMTP id ID",
		},
		{
			name:   "TLS, AUTH and IPv6",
			client: nouns.Client{Addr: netip.MustParseAddrPort("[2001:db8::1]:4000"), Helo: "[IPv6:2001:db8::1]", Extended: true, TLS: "TLSv1.3", Cipher: "TLS_AES_128_GCM_SHA256", Account: "alice"},
			rcpts:  one,
			want:   "from [IPv6:2001:db8::1] ([IPv6:2001:db8::1]) by hamburger.edu with ESMTPSA (TLSv1.3 TLS_AES_128_GCM_SHA256) id ID for <bob@hamburger.edu>",
		},
		{
			name:   "SMTPUTF8",
			client: nouns.Client{Addr: v4, Helo: "crepes.fr", Extended: true, TLS: "TLSv1.2", Cipher: "X"},
			utf8:   true,
			want:   "from crepes.fr ([192.0.2.1]) by hamburger.edu with UTF8SMTPS (TLSv1.2 X) id ID",
		},
		{
			name:   "no address",
			client: nouns.Client{Helo: "crepes.fr"},
			want:   "from crepes.fr ([unknown]) by hamburger.edu with SMTP id ID",
		},
		{
			name:   "a quoted local part",
			client: nouns.Client{Addr: v4, Helo: "crepes.fr"},
			rcpts:  []nouns.Recipient{{Original: nouns.Path{Local: "x@z", Domain: "y"}}},
			want:   `from crepes.fr ([192.0.2.1]) by hamburger.edu with SMTP id ID for <"x@z"@y>`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &session{srv: &Server{Hostname: "hamburger.edu"}, tx: &nouns.Transaction{
				ID: "ID", Client: tt.client, Envelope: nouns.Envelope{Recipients: tt.rcpts, UTF8: tt.utf8},
			}}
			field := string(s.trace(nil))
			if !regexp.MustCompile(`^Received: [^\r\n]+(\r\n\t[^\r\n]+)+\r\n$`).MatchString(field) {
				t.Errorf("badly folded: %q", field)
			}
			flat := strings.ReplaceAll(strings.TrimSpace(strings.TrimPrefix(field, "Received: ")), "\r\n\t", " ")
			got, date, _ := strings.Cut(flat, "; ")
			if got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			if _, err := mail.ParseDate(date); err != nil {
				t.Errorf("date %q: %v", date, err)
			}
		})
	}
}

// names is a Resolver.
type names struct {
	reverse map[string][]string
	forward map[string]string
	hangs   bool
}

func (n names) LookupAddr(ctx context.Context, addr string) ([]string, error) {
	if n.hangs {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return n.reverse[addr], nil
}

func (n names) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	if addr, ok := n.forward[host]; ok {
		return []netip.Addr{netip.MustParseAddr(addr)}, nil
	}
	return nil, errors.New("no such host")
}

func TestVerifiedName(t *testing.T) {
	r := names{
		reverse: map[string][]string{
			"192.0.2.1": {"mx.crepes.fr."},
			"192.0.2.2": {"mx.crepes.fr."},
			"192.0.2.3": {"nowhere.crepes.fr."},
			"192.0.2.4": {"evil)\r\n.crepes.fr."},
			"192.0.2.5": {"[192.0.2.5]"},
		},
		forward: map[string]string{"mx.crepes.fr.": "::ffff:192.0.2.1"},
	}
	for addr, want := range map[string]string{
		"192.0.2.1": "mx.crepes.fr",
		"192.0.2.2": "", // a name that is another's
		"192.0.2.3": "", // a name without an address
		"192.0.2.4": "",
		"192.0.2.5": "",
		"192.0.2.6": "",
	} {
		if got := verifiedName(t.Context(), r, netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: got %q, want %q", addr, got, want)
		}
	}
}

func TestASlowResolverHoldsNoMessageForLong(t *testing.T) {
	inBubble(t, func(t *testing.T, srv *Server, l *pipes) {
		srv.Resolver = names{hangs: true}
		file := writeFile(t, "S: 220 *\nC: HELO crepes.fr\nS: 250 *\nC: MAIL FROM:<a@crepes.fr>\n! sleep 2s\nS: 250 *\n"+
			"C: RCPT TO:<bob@hamburger.edu>\nS: 250 *\nC: DATA\nS: 354 *\nC: .\nS: 250 *\nC: QUIT\nS: 221 *\n! closed\n")
		transcript.Run(t, l.dial("192.0.2.1"), file)
		synctest.Wait()
		if got := srv.Queue.(*memoryQueue).messages(); len(got) != 1 || !strings.HasPrefix(got[0].content, "Received: from crepes.fr ([192.0.2.1])\r\n\tby hamburger.edu ") {
			t.Errorf("got %+v", got)
		}
	})
}

func TestTheNameIsInTheTransaction(t *testing.T) {
	srv, q := newServer(t)
	srv.Resolver = names{reverse: map[string][]string{"127.0.0.1": {"mx.crepes.fr."}}, forward: map[string]string{"mx.crepes.fr.": "127.0.0.1"}}
	say(t, serve(t, srv), "EHLO crepes.fr\r\nMAIL FROM:<>\r\nRCPT TO:<bob@hamburger.edu>\r\nDATA\r\n.\r\nQUIT\r\n")
	got := q.messages()
	if len(got) != 1 || got[0].tx.Client.Name != "mx.crepes.fr" || !strings.HasPrefix(got[0].content, "Received: from crepes.fr (mx.crepes.fr [127.0.0.1])") {
		t.Errorf("got %+v", got)
	}
}
