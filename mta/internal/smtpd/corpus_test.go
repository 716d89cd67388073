package smtpd

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wasmta/wasmta/mta/internal/smtp"
)

// corpus is a folder of real messages beside the repository.
const corpus = "../../../../shared/corpus"

// TestCorpusIsExact sends each message of the corpus in one session. Those
// whose lines do not end in CRLF are refused, once as they are, and then sent
// with line ends as they should be.
func TestCorpusIsExact(t *testing.T) {
	if _, err := os.Stat(corpus); err != nil {
		t.Skipf("the corpus is not there: %v", err)
	}
	srv, q := newServer(t)
	srv.Limits = Limits{Messages: -1, Errors: -1, Line: -1}
	addr := serve(t, srv)
	taken, refused := 0, 0
	err := filepath.WalkDir(corpus, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		crlf := strings.ReplaceAll(strings.ReplaceAll(string(raw), "\r\n", "\n"), "\n", "\r\n")
		for _, text := range []string{string(raw), crlf} {
			if !strings.HasSuffix(text, "\r\n") {
				text += "\r\n" // DATA cannot say that the last line has no end
			}
			var lines smtp.LineChecker
			lines.MaxLine = 1 << 30
			good := lines.Add([]byte(text))
			before := len(q.messages())
			got := say(t, addr, "EHLO crepes.fr\r\nMAIL FROM:<alice@crepes.fr> BODY=8BITMIME\r\nRCPT TO:<bob@hamburger.edu>\r\nDATA\r\n"+stuff(text)+"QUIT\r\n")
			stored := q.messages()[before:]
			switch {
			case good && (len(stored) != 1 || stored[0].body() != text):
				t.Errorf("%s: not as it was sent; %q", path, got)
			case !good && len(stored) != 0:
				t.Errorf("%s: taken in spite of its line ends", path)
			case good:
				taken++
			default:
				refused++
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d taken, %d refused", taken, refused)
}
