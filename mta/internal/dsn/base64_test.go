package dsn

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

func TestBase64(t *testing.T) {
	for _, n := range []int{0, 1, 2, 3, 56, 57, 58, 113, 114, 115, 32<<10 + 1} {
		octets := bytes.Repeat([]byte("crêpe\r\n"), n/8+1)[:n]
		c := base64Content{mail.Bytes(octets)}
		r, err := c.Open()
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(iotest.OneByteReader(r))
		if err = errors.Join(err, r.Close()); err != nil {
			t.Fatal(err)
		}
		if int64(len(got)) != c.Size() {
			t.Errorf("%d octets became %d, and it says %d", n, len(got), c.Size())
		}
		for line := range strings.Lines(string(got)) {
			if len(line) > 78 || !strings.HasSuffix(line, "\r\n") {
				t.Errorf("%d octets have the line %q", n, line)
			}
		}
		back, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(string(got), "\r\n", ""))
		if err != nil || !bytes.Equal(back, octets) {
			t.Errorf("%d octets came back as %d, %v", n, len(back), err)
		}
	}
}

func TestBase64OfWhatCannotBeRead(t *testing.T) {
	if _, err := (base64Content{broken{}}).Open(); err == nil {
		t.Error("it was opened")
	}
	failing := &base64Reader{r: iotest.ErrReader(io.ErrClosedPipe), close: func() error { return nil }}
	if _, err := io.ReadAll(failing); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("got %v", err)
	}
}
