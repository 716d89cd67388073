package main

import (
	"bytes"
	"strings"
	"testing"
)

// TestHTMLEnd marks the place with a bar.
func TestHTMLEnd(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"before the end of the body", "<body>x</body></html>", "<body>x|</body></html>"},
		{"any case of letters", "<BODY>x</Body ></HTML>", "<BODY>x|</Body ></HTML>"},
		{"body does not end", "<html>x</html>", "<html>x|</html>"},
		{"nothing ends", "<p>x", "<p>x|"},
		{"no markup at all", "x", "x|"},
		{"empty", "", "|"},
		{"the last of two", "<body>x</body>y</body>", "<body>x</body>y|</body>"},
		{"in a comment", "<body>x</body><!-- </body> -->", "<body>x|</body><!-- </body> -->"},
		{"only in a comment", "<p>x<!-- </body> -->", "<p>x<!-- </body> -->|"},
		{"in an attribute", `<p>x</p><a title="</body>">y</a>`, `<p>x</p><a title="</body>">y</a>|`},
		{"in a script", "x<script>'</body>'</script>y", "x<script>'</body>'</script>y|"},
		{"in a style", "<style>/*</body>*/</style>y</body>", "<style>/*</body>*/</style>y|</body>"},
		{"another name", "x</bodyguard>y", "x</bodyguard>y|"},
		{"open comment", "x<!-- y</body>", "x<!-- y</body>-->|"},
		{"open comment after the body", "x</body><!-- y", "x|</body><!-- y"},
		{"open script", "x<script>y</body>", "x<script>y</body></script>|"},
		{"open title", "<title>x", "<title>x</title>|"},
		{"open tag", "x<a href=y", "x<a href=y>|"},
		{"open attribute", `x<a href="y>z`, `x<a href="y>z">|`},
		{"quote that is no value", `<p class=a" b>x</body>`, `<p class=a" b>x|</body>`},
		{"less-than sign", "1 < 2 </body>", "1 < 2 |</body>"},
		{"shortest comments", "<!--><!--->x</body>", "<!--><!--->x|</body>"},
		{"comment with a bang", "<!-- a --!>x</body>", "<!-- a --!>x|</body>"},
		{"conditional comment", "<!--[if mso]></body><![endif]-->x</body>", "<!--[if mso]></body><![endif]-->x|</body>"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := []byte(tt.in)
			at, closing := htmlEnd(b)
			if got := tt.in[:at] + closing + "|" + tt.in[at:]; got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

// FuzzHTMLEnd holds that what is put there stands outside of all that hides
// it: a second look goes to the same place.
func FuzzHTMLEnd(f *testing.F) {
	for _, s := range []string{
		"<body>x</body></html>", "<!-- ", `<a b="`, "<script><!--</script>", "<style", "</body", "<!-->", "<a '\"=>",
		"\xff<\x00p>", "<title><title></title", "<!--x--!", "<p =\"", "</p a='>",
	} {
		f.Add([]byte(s))
	}
	mark := []byte("<i>footer</i>")
	f.Fuzz(func(t *testing.T, b []byte) {
		at, closing := htmlEnd(b)
		if at < 0 || at > len(b) {
			t.Fatalf("%q: place %d", b, at)
		}
		out := bytes.Join([][]byte{b[:at], []byte(closing), mark, b[at:]}, nil)
		again, closing2 := htmlEnd(out)
		if want := at + len(closing) + len(mark); again != want || closing2 != "" {
			t.Fatalf("%q: place %d with %q, then %d with %q", b, at, closing, again, closing2)
		}
	})
}

func BenchmarkHTMLEnd(b *testing.B) {
	page := []byte("<html><body>" + strings.Repeat(`<p class="a">Hello <a href="http://x">Bob</a></p>`, 2000) + "</body></html>")
	b.SetBytes(int64(len(page)))
	for b.Loop() {
		htmlEnd(page)
	}
}
