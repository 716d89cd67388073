package host

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/wasmta/wasmta/sdk/abi"
	"github.com/wasmta/wasmta/sdk/mimetree"
)

const mixed = "Received: from a by b\r\n" +
	"Subject: =?utf-8?q?cr=C3=AApe?=\r\n recipe\r\n" +
	"Content-Type: multipart/mixed; boundary=b\r\n\r\n" +
	"--b\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\ncr=EApe\r\n" +
	"--b\r\nContent-Type: image/jpeg\r\nContent-ID: <1@x>\r\nContent-Disposition: attachment; filename=a.jpg\r\n" +
	"Content-Transfer-Encoding: base64\r\n\r\nAAECAw==\r\n--b--\r\n"

func onTree(octets string) (*Call, *mimetree.Tree) {
	tree := mimetree.Parse(bytes.NewReader([]byte(octets)), mimetree.Limits{})
	in := input(nil)
	in.Open = func() (Message, error) { return Tree(tree), nil }
	return New(in), tree
}

func text(t *testing.T, tree *mimetree.Tree) string {
	t.Helper()
	r, err := tree.Open()
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestTreeIsRead(t *testing.T) {
	c, tree := onTree(mixed)
	for mode, want := range map[int32]string{
		abi.HdrRaw: " =?utf-8?q?cr=C3=AApe?=\r\n recipe", abi.HdrUnfolded: "=?utf-8?q?cr=C3=AApe?= recipe", abi.HdrDecoded: "crêpe recipe",
	} {
		if b, e := c.HdrValue(0, c.HdrFind(0, "subject", 0), mode); string(b) != want || e != abi.OK {
			t.Errorf("mode %d: got %q, %v, want %q", mode, b, e, want)
		}
	}
	if _, e := c.HdrValue(0, 0, 9); e != abi.BadArg {
		t.Errorf("mode 9: got %v", e)
	}
	plain, image := c.PartFind("text/*", 0), c.PartFind("image/*", 0)
	if plain < 1 || image < 1 || c.PartFirst(0) != plain || c.PartNext(plain) != image || c.PartParent(image) != 0 {
		t.Fatalf("parts %d and %d", plain, image)
	}
	if got := c.PartNext(image); got != int32(abi.NotFound) {
		t.Errorf("after the last part: %d", got)
	}
	for what, want := range map[int32]string{
		abi.PartType: "image/jpeg", abi.PartCharset: "", abi.PartFilename: "a.jpg", abi.PartEncoding: "base64",
		abi.PartDisposition: "attachment", abi.PartContentID: "1@x", abi.PartPath: "2",
	} {
		if s, e := c.PartInfo(image, what); s != want || e != abi.OK {
			t.Errorf("info %d: got %q, %v, want %q", what, s, e, want)
		}
	}
	if got := c.PartFlags(image); got != abi.FlagAttachment {
		t.Errorf("flags of the image: %d", got)
	}
	if got := c.PartFlags(0); got != abi.FlagMultipart {
		t.Errorf("flags of the message: %d", got)
	}
	for mode, want := range map[int32]string{abi.ReadBody: "cr=EApe", abi.ReadDecoded: "cr\xeape", abi.ReadText: "crêpe"} {
		buf := make([]byte, 100)
		n := c.PartRead(plain, mode, 0, buf)
		if n < 0 || string(buf[:n]) != want || c.PartSize(plain, mode) != int64(len(want)) {
			t.Errorf("mode %d: got %d %q, size %d, want %q", mode, n, buf[:max(n, 0)], c.PartSize(plain, mode), want)
		}
		if n := c.PartRead(plain, mode, int64(len(want)), buf); n != 0 {
			t.Errorf("mode %d, at the end: got %d", mode, n)
		}
	}
	buf := make([]byte, 8)
	if n := c.MsgRead(10, buf); string(buf[:n]) != mixed[10:18] || c.MsgSize() != int64(len(mixed)) {
		t.Errorf("got %q, size %d", buf[:n], c.MsgSize())
	}
	if ch := c.Commit(); ch.Edited || TreeOf(ch.Message) != tree || text(t, tree) != mixed {
		t.Errorf("looking is no edit: %+v", ch)
	}
}

func TestTreeIsEditedAndRolledBack(t *testing.T) {
	edit := func(c *Call) {
		t.Helper()
		image := c.PartFind("image/*", 0)
		blob := c.BlobNew()
		c.BlobWrite(blob, []byte("removed"))
		for name, e := range map[string]abi.Errno{
			"set":     c.HdrSet(0, c.HdrFind(0, "Subject", 0), "crêpe"),
			"insert":  c.HdrInsert(0, 0, "X-A", "b"),
			"bottom":  c.HdrInsertRaw(0, -1, "X-B: c\r\n d"),
			"replace": c.PartReplace(image, "text/plain", blob),
			"part":    min(abi.Errno(c.PartInsert(0, -1, "text/plain", "ü.txt", blob)), 0),
			"remove":  c.PartRemove(c.PartFirst(0)),
			"wrap":    min(abi.Errno(c.PartWrap(image, "multipart/mixed")), 0),
		} {
			if e != abi.OK {
				t.Errorf("%s: %v", name, e)
			}
		}
	}
	c, tree := onTree(mixed)
	edit(c)
	if got := text(t, tree); got == mixed || !bytes.Contains([]byte(got), []byte("X-B: c\r\n d\r\n")) {
		t.Errorf("got %q", got)
	}
	c.Rollback()
	if got := text(t, tree); got != mixed {
		t.Errorf("got %q, want %q", got, mixed)
	}
	c, tree = onTree(mixed)
	blob := c.BlobNew()
	c.BlobWrite(blob, []byte("Subject: new\r\n\r\nnew\r\n"))
	if e := c.MsgReplace(blob); e != abi.OK {
		t.Fatal(e)
	}
	if got := text(t, tree); got != "Subject: new\r\n\r\nnew\r\n" || c.HdrCount(0) != 1 {
		t.Errorf("got %q", got)
	}
	c.Rollback()
	if got := text(t, tree); got != mixed {
		t.Errorf("got %q, want %q", got, mixed)
	}
}

func TestTreeErrors(t *testing.T) {
	c, _ := onTree(mixed)
	for name, got := range map[string]int32{
		"count": c.HdrCount(99), "find": c.HdrFind(99, "a", 0), "first": c.PartFirst(99), "flags": c.PartFlags(-1),
		"remove": int32(c.HdrRemove(0, 99)), "remove part": int32(c.PartRemove(99)),
	} {
		if got != int32(abi.NotFound) {
			t.Errorf("%s: got %d, want %d", name, got, abi.NotFound)
		}
	}
	if got := c.HdrRemoveAll(0, "X-None"); got != 0 {
		t.Errorf("removing what is not there: got %d", got)
	}
	if got := errno(errors.New("disk on fire")); got != abi.IO {
		t.Errorf("got %v", got)
	}
}
