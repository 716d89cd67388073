package mimetree

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// A repeated is a large message that is not in memory: head, then body over
// and over.
type repeated struct {
	head, body string
	times      int64
	read       int64 // octets asked for
	err        error // of all reads past the head
}

func (r *repeated) Size() int64 { return int64(len(r.head)) + r.times*int64(len(r.body)) }

func (r *repeated) ReadAt(p []byte, off int64) (int, error) {
	r.read += int64(len(p))
	for n := range p {
		at := off + int64(n)
		switch {
		case at >= r.Size():
			return n, io.EOF
		case at < int64(len(r.head)):
			p[n] = r.head[at]
		case r.err != nil:
			return n, r.err
		default:
			p[n] = r.body[(at-int64(len(r.head)))%int64(len(r.body))]
		}
	}
	return len(p), nil
}

const mixed = "Content-Type: multipart/mixed; boundary=b\r\n\r\n"

func TestFieldCostsNoScan(t *testing.T) {
	src := &repeated{head: mixed, body: "--b\r\n\r\nx\r\n", times: 1 << 30}
	tree := Parse(src, Limits{})
	if err := tree.InsertField(Root, Top, "X", "y"); err != nil {
		t.Fatal(err)
	}
	if err := tree.SetField(Root, 0, "z"); err != nil {
		t.Fatal(err)
	}
	if got, want := tree.Size(), src.Size()+int64(len("X: z\r\n")); got != want {
		t.Errorf("Size is %d, want %d", got, want)
	}
	if src.read > 64<<10 {
		t.Errorf("%d octets were read", src.read)
	}
}

func TestPartsAreBounded(t *testing.T) {
	src := &repeated{head: mixed, body: "--b\r\n\r\nx\r\n", times: 1_000_000}
	tree := Parse(src, Limits{})
	parts := ids(t, tree)
	if len(parts) != DefaultParts+1 {
		t.Errorf("%d parts", len(parts))
	}
	if flags, _ := tree.Flags(Root); flags != Multipart|Malformed {
		t.Errorf("flags %05b", flags)
	}
	if src.read > 1<<20 {
		t.Errorf("%d octets were read", src.read)
	}
	if tree.Size() != src.Size() {
		t.Errorf("Size is %d, want %d", tree.Size(), src.Size())
	}
	if err := tree.Remove(parts[5]); err != nil {
		t.Error(err)
	}
	if got, want := tree.Size(), src.Size()-int64(len(src.body)); got != want {
		t.Errorf("without a part: Size is %d, want %d", got, want)
	}
	if _, err := tree.Insert(Root, Bottom, "text/plain", "", nil); err != ErrLimit {
		t.Errorf("one more part: %v", err)
	}
	if _, err := tree.Wrap(Root, "multipart/mixed"); err != ErrLimit {
		t.Errorf("wrapped: %v", err)
	}
}

func TestDepthIsBounded(t *testing.T) {
	var b strings.Builder
	for range 1000 {
		b.WriteString("Content-Type: message/rfc822\r\n\r\n")
	}
	tree := parse(b.String())
	if n := len(ids(t, tree)); n != DefaultDepth+1 {
		t.Errorf("%d parts", n)
	}
	b.Reset()
	for i := range 1000 {
		border := strconv.Itoa(i)
		b.WriteString("Content-Type: multipart/mixed; boundary=" + border + "\r\n\r\n--" + border + "\r\n")
	}
	tree = parse(b.String())
	if n := len(ids(t, tree)); n > DefaultDepth+1 {
		t.Errorf("%d parts", n)
	}
	if all(t, tree) != b.String() {
		t.Error("the message changed")
	}
	checkTo7Bit(t, b.String()+"\xe9")
}

func TestWrapsAreBounded(t *testing.T) {
	tree := parse(twoParts)
	for range 2 { // those that were undone do not count
		tree.Rollback(0)
		n := 0
		for ; n < 1000; n++ {
			if _, err := tree.Wrap(Root, "multipart/mixed"); err == ErrLimit {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
		if n < DefaultDepth-2 || n > DefaultDepth {
			t.Errorf("wrapped %d times", n)
		}
	}
}

// TestHostileFields holds that what is quadratic for a careless reader is not
// here.
func TestHostileFields(t *testing.T) {
	var pieces strings.Builder
	for i := range 40_000 {
		pieces.WriteString("; name*" + strconv.Itoa(i) + "*=a")
	}
	for name, value := range map[string]string{
		"pieces of a parameter": pieces.String(),
		"parameters":            strings.Repeat("; a=b", 150_000),
		"comments":              strings.Repeat("(", 900_000),
		"quotes":                "; " + strings.Repeat("\"", 900_001),
		"words":                 strings.Repeat("=?utf-8?q?a?= ", 70_000),
		"no words":              strings.Repeat("=?a?q?", 170_000),
	} {
		tree := parse("Content-Type: text/plain" + value + "\r\n\r\n")
		if _, err := tree.Info(Root); err != nil {
			t.Error(name, err)
		}
		if _, err := tree.FieldValue(Root, 0, Decoded); err != nil {
			t.Error(name, err)
		}
	}
}

func TestHeaderSectionIsBounded(t *testing.T) {
	for _, tt := range []struct {
		name, head, body string
		times            int64
		fields           int
	}{
		{"a field without end", "A: b\r\nX:", " x\r\n", 1 << 28, 1},
		{"a line without end", "A: b\r\nX: ", "xxxxxxxxxxxxxxxx", 1 << 28, 1},
		{"a first line without end", "", "x", 1 << 30, 0},
		{"fields without end", "", "A: b\r\n", 1 << 28, DefaultFields},
		{"long fields without end", "", "A: " + strings.Repeat("b", 1000) + "\r\n", 1 << 20, DefaultHeaderOctets / 1005},
	} {
		t.Run(tt.name, func(t *testing.T) {
			src := &repeated{head: tt.head, body: tt.body, times: tt.times}
			tree := Parse(src, Limits{})
			if n, err := tree.FieldCount(Root); err != nil || n != tt.fields {
				t.Errorf("%d fields, %v, want %d", n, err, tt.fields)
			}
			if src.read > 3*DefaultHeaderOctets {
				t.Errorf("%d octets were read", src.read)
			}
			if flags, err := tree.Flags(Root); err != nil || flags&Malformed == 0 {
				t.Errorf("flags %05b, %v", flags, err)
			}
			for _, index := range []int{Top, Bottom} {
				if err := tree.InsertField(Root, index, "X", "y"); err != nil {
					t.Error(err)
				}
			}
			p := make([]byte, 20)
			if _, err := tree.ReadAt(p, tree.Size()-20); err != nil || !strings.Contains(strings.Repeat(tt.body, 100), string(p)) {
				t.Errorf("the end is %q, %v", p, err)
			}
			if err := tree.Replace(Root, "", nil); tt.head+tt.body != "x" && err != ErrLimit {
				t.Errorf("Replace: %v", err)
			}
		})
	}
}

// TestSmallLimits holds that a message beyond limits is edited as exactly as
// any other, and converted or refused.
func TestSmallLimits(t *testing.T) {
	for _, tt := range awkward {
		for _, limits := range []Limits{{Parts: 1}, {Depth: 1}, {Fields: 1}, {HeaderOctets: 30}, small} {
			tree := Parse(strings.NewReader(tt.message), limits)
			ids(t, tree)
			if err := tree.InsertField(Root, Top, "X-Test", "y"); err != nil {
				t.Error(tt.name, err)
			}
			if got := strings.Replace(all(t, tree), "X-Test: y"+tree.eol, "", 1); !isWithLineEnds(got, tt.message, tree.eol, 1) {
				t.Errorf("%s: %q became %q", tt.name, tt.message, got)
			}
			tree.Rollback(0)
			out, done, err := To7Bit(tree)
			switch {
			case err == ErrLimit:
			case err != nil:
				t.Error(tt.name, err)
			case !is7Bit([]byte(all(t, out))) && !done.Left:
				t.Errorf("%s: %q", tt.name, all(t, out))
			}
		}
	}
}

var errDisk = errors.New("the disk is gone")

func TestErrorsOfTheSource(t *testing.T) {
	src := &repeated{head: "", body: "x", times: 1 << 20, err: errDisk}
	tree := Parse(src, Limits{})
	for name, err := range map[string]error{
		"fields":  second(tree.FieldCount(Root)),
		"insert":  tree.InsertField(Root, Top, "X", "y"),
		"first":   second(tree.First(Root)),
		"flags":   second(tree.Flags(Root)),
		"octets":  second(tree.Octets()),
		"read":    second(tree.ReadPart(Root, Body, 0, make([]byte, 10))),
		"replace": tree.Replace(Root, "", nil),
	} {
		if !errors.Is(err, errDisk) {
			t.Errorf("%s: %v", name, err)
		}
	}
	src = &repeated{head: mixed + strings.Repeat("x", firstRead), body: "--b\r\n", times: 1 << 20, err: errDisk}
	tree = Parse(src, Limits{})
	for range 2 { // it is not taken for the truth
		if _, err := tree.First(Root); !errors.Is(err, errDisk) {
			t.Errorf("parts: %v", err)
		}
	}
	if _, err := tree.Wrap(Root, "multipart/mixed"); !errors.Is(err, errDisk) || tree.Modified() {
		t.Errorf("wrap: %v", err)
	}
	src.err = nil
	if _, err := tree.First(Root); err != nil {
		t.Errorf("after the disk came back: %v", err)
	}
	short := Parse(short{strings.NewReader("Subject: x\r\n\r\nbody")}, Limits{})
	if _, err := short.FieldCount(Root); err != io.ErrUnexpectedEOF {
		t.Errorf("a source that is shorter than it says: %v", err)
	}
}

// A short source ends before its size.
type short struct{ *strings.Reader }

func (short) Size() int64 { return 1000 }

// TestReadersShareATree opens one tree many times at once, as deliveries do.
func TestReadersShareATree(t *testing.T) {
	tree := parse(nested)
	if err := tree.InsertField(Root, Top, "X", "y"); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			r, err := tree.Open()
			if err != nil {
				t.Error(err)
				return
			}
			var b bytes.Buffer
			if _, err := io.Copy(&b, r); err != nil || b.String() != "X: y\r\n"+nested || tree.Size() != int64(b.Len()) {
				t.Errorf("got %q, %v", b.String(), err)
			}
			p := make([]byte, 4)
			if _, err := tree.ReadAt(p, 0); err != nil || string(p) != "X: y" {
				t.Errorf("ReadAt: %q, %v", p, err)
			}
		})
	}
	wg.Wait()
}
