package imapd

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/emersion/go-imap/v2"

	"github.com/wasmta/wasmta/mta/internal/mailbox"
	"github.com/wasmta/wasmta/sdk/mimetree"
)

// corpusFiles are messages from the world, beside the repository.
func corpusFiles(t testing.TB) []string {
	t.Helper()
	root := "../../../../shared/corpus"
	if _, err := os.Stat(root); err != nil {
		t.Skip("no corpus beside the repository")
	}
	var files []string
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && !strings.HasSuffix(name, ".md") {
			files = append(files, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// octets of a section.
func (s section) octets(t testing.TB) []byte {
	t.Helper()
	if s.size == 0 {
		return nil
	}
	b, err := io.ReadAll(io.NewSectionReader(s.r, 0, s.size))
	if err != nil || int64(len(b)) != s.size {
		t.Fatalf("%d octets of %d, %v", len(b), s.size, err)
	}
	return b
}

// A section is to the octet what the store has, and every part that
// BODYSTRUCTURE names can be fetched, with the size that it tells.
func TestCorpusSections(t *testing.T) {
	s := serve(t, nil)
	s.client()
	box, err := s.Store.Mailbox(account, "INBOX")
	if err != nil {
		t.Fatal(err)
	}
	defer box.Close()
	sess := &session{server: s.Server, box: box}
	for _, file := range corpusFiles(t) {
		whole := read(t, file)
		if whole == "" {
			continue
		}
		at, err := s.Store.Append(account, "INBOX", strings.NewReader(whole), mailbox.Flags{}, arrived)
		if err != nil {
			t.Fatal(err)
		}
		c, err := sess.open(at.UID)
		if err != nil {
			t.Fatal(err)
		}
		checkSections(t, file, c)
		c.close()
	}
}

func checkSections(t *testing.T, file string, c *content) {
	t.Helper()
	get := func(item imap.FetchItemBodySection) []byte {
		sec, err := c.section(&item)
		if err != nil {
			t.Fatalf("%s: %+v: %v", file, item, err)
		}
		return sec.octets(t)
	}
	whole := get(imap.FetchItemBodySection{})
	stored, err := io.ReadAll(io.NewSectionReader(c.octets, 0, c.octets.Size()))
	if err != nil || !bytes.Equal(whole, stored) {
		t.Errorf("%s: BODY[] is not what is stored (%v)", file, err)
	}
	header, text := get(imap.FetchItemBodySection{Specifier: imap.PartSpecifierHeader}), get(imap.FetchItemBodySection{Specifier: imap.PartSpecifierText})
	if joined := append(bytes.Clone(header), text...); !bytes.Equal(joined, whole) {
		i := 0
		for i < len(joined) && i < len(whole) && joined[i] == whole[i] {
			i++
		}
		t.Errorf("%s: BODY[HEADER] and BODY[TEXT] have %d+%d octets, BODY[] %d; they differ at %d: %.40q, %.40q",
			file, len(header), len(text), len(whole), i, joined[i:], whole[i:])
	}
	bs, err := c.structure(mimetree.Root)
	if err != nil {
		t.Fatalf("%s: BODYSTRUCTURE: %v", file, err)
	}
	if _, err := c.envelope(mimetree.Root); err != nil {
		t.Fatalf("%s: ENVELOPE: %v", file, err)
	}
	bs.Walk(func(path []int, part imap.BodyStructure) bool {
		single, ok := part.(*imap.BodyStructureSinglePart)
		if !ok {
			return true
		}
		if len(path) == 0 {
			path = []int{1}
		}
		body := get(imap.FetchItemBodySection{Part: path})
		if len(body) != int(single.Size) {
			t.Errorf("%s: part %v has %d octets, BODYSTRUCTURE says %d", file, path, len(body), single.Size)
		}
		get(imap.FetchItemBodySection{Part: path, Specifier: imap.PartSpecifierMIME})
		if single.MessageRFC822 != nil {
			h := get(imap.FetchItemBodySection{Part: path, Specifier: imap.PartSpecifierHeader})
			b := get(imap.FetchItemBodySection{Part: path, Specifier: imap.PartSpecifierText})
			if !bytes.Equal(append(h, b...), body) {
				t.Errorf("%s: part %v is not its HEADER and TEXT", file, path)
			}
		}
		return true
	})
}

// All of the corpus goes over the wire, with everything that can be asked.
func TestCorpusOverTheWire(t *testing.T) {
	s := serve(t, nil)
	files := corpusFiles(t)
	for _, file := range files {
		if whole := read(t, file); whole != "" {
			if _, err := s.Store.Append(account, "INBOX", strings.NewReader(whole), mailbox.Flags{}, arrived); err != nil {
				t.Fatal(err)
			}
		}
	}
	c := s.client()
	c.ok("EXAMINE INBOX")
	all := c.ok("FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODY BODYSTRUCTURE BODY.PEEK[] BODY.PEEK[1] BODY.PEEK[1.1.MIME])")
	for i, line := range all {
		if !strings.HasPrefix(line, fmt.Sprintf("* %d FETCH (UID ", i+1)) || !strings.HasSuffix(line, ")") {
			t.Errorf("%.200q", line)
		}
	}
	c.ok("SEARCH OR TEXT nowhere OR BODY \"the\" HEADER Subject \"\"")
	if len(all) < len(files)*9/10 {
		t.Errorf("%d messages of %d files", len(all), len(files))
	}
}
