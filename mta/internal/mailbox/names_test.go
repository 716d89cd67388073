package mailbox

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFolderFiles(t *testing.T) {
	for name, want := range map[string]string{
		"INBOX":          ".",
		"inbox":          ".",
		"Sent":           ".Sent",
		"Lists/go":       ".Lists.go",
		"inbox/old":      ".INBOX.old",
		"a&b":            ".a&-b",
		"Entwürfe":       ".Entw&APw-rfe",
		"日本語":            ".&ZeVnLIqe-",
		"😀":              ".&2D3eAA-",
		"go.dev":         ".go&AC4-dev",
		"..":             ".&AC4ALg-",
		"../../etc":      ".&AC4ALg-.&AC4ALg-.etc",
		"Junk E-mail":    ".Junk E-mail",
		`back\slash`:     `.back\slash`,
		"~root":          ".~root",
		"-":              ".-",
		"INBOXES":        ".INBOXES",
		"a/INBOX":        ".a.INBOX",
		"with\u00a0nbsp": ".with&AKA-nbsp",
	} {
		clean, err := CleanName(name)
		if err != nil {
			t.Errorf("%q: %v", name, err)
			continue
		}
		file := folderFile(clean)
		if file != want {
			t.Errorf("%q: file %q, want %q", name, file, want)
		}
		if got, ok := folderName(file); clean != Inbox && (!ok || got != clean) {
			t.Errorf("%q: the file %q reads as %q, %v", name, file, got, ok)
		}
	}
}

func TestBadNames(t *testing.T) {
	for name, in := range map[string]string{
		"empty": "", "a slash alone": "/", "a slash in front": "/a", "a slash at the end": "a/", "two slashes": "a//b",
		"NUL": "a\x00b", "line feed": "a\nb", "delete": "a\x7f", "C1 control": "a\u0085b", "not UTF-8": "a\xffb",
		"wildcards": "a*b", "percent": "a%b", "line separator": "a\u2028b", "surrogate": "a\xed\xa0\x80b",
		"long": strings.Repeat("a", 255), "long once it is encoded": strings.Repeat("ü", 60) + strings.Repeat("ü/", 40) + "ü",
		"deep": strings.Repeat("a/", 16) + "a",
	} {
		if clean, err := CleanName(in); !errors.Is(err, ErrName) {
			t.Errorf("%s: %q is %q, %v", name, in, clean, err)
		}
	}
	if _, err := CleanName(strings.Repeat("a", 254)); err != nil {
		t.Error("a name of 254 letters:", err)
	}
}

func TestFilesThatAreNoFolders(t *testing.T) {
	for _, file := range []string{
		"", ".", "..", "cur", "new", "...", "..Sent", ".a..b", ".a.", ".&", ".&AC4", ".&AGE-", ".a&b-", ".\xff", ".a\x01",
		".inbox.old", ".INBOX", ".Inbox", ".*", ".&AC8-", trashPrefix + "1",
	} {
		if name, ok := folderName(file); ok {
			t.Errorf("%q is the mailbox %q", file, name)
		}
	}
	if name, ok := folderName(".Entwürfe.a"); !ok || name != "Entwürfe/a" {
		t.Errorf("a name in plain UTF-8: %q, %v", name, ok)
	}
}

func TestAccountsStayBelowTheRoot(t *testing.T) {
	root := t.TempDir()
	s := open(t, filepath.Join(root, "mail"))
	for _, account := range []string{
		"", ".", "..", "../x", "/etc", "a/b", `a\b`, "a\x00b", "a\nb", ".hidden", "\xff", strings.Repeat("a", 256), "a/../../b",
	} {
		if _, err := s.Mailbox(account, Inbox); !errors.Is(err, ErrAccount) {
			t.Errorf("%q: got %v", account, err)
		}
	}
	for _, name := range []string{"..", "../..", "../../x", "a/../../../x", "....//x", `..\..\x`, ". ./x"} {
		s.Create(bob, name, "")
	}
	entries, err := os.ReadDir(root)
	if err != nil || len(entries) != 1 {
		t.Errorf("files beside the root: %v, %v", entries, err)
	}
	entries, err = os.ReadDir(s.root)
	if err != nil || len(entries) != 1 || entries[0].Name() != bob {
		t.Errorf("files in the root: %v, %v", entries, err)
	}
}

// FuzzNames holds that each clean name has one folder, directly in the
// account's own, and that the folder's name leads back to it.
func FuzzNames(f *testing.F) {
	for _, s := range []string{"INBOX", "a/b", "..", "ü&-", "a.b", "/", "😀/x", "&AC4-", "\x00", "Inbox/é"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if clean, ok := folderName(name); ok {
			if again, err := CleanName(clean); err != nil || again != clean {
				t.Fatalf("file %q is %q, which is %q, %v", name, clean, again, err)
			}
		}
		clean, err := CleanName(name)
		if err != nil {
			return
		}
		file := folderFile(clean)
		if file != "." && (filepath.Base(file) != file || !filepath.IsLocal(file) || strings.HasPrefix(file, "..") || len(file) > maxFileName) {
			t.Fatalf("%q has the file %q", name, file)
		}
		if again, err := CleanName(clean); err != nil || again != clean {
			t.Fatalf("%q is %q is %q, %v", name, clean, again, err)
		}
		if back, ok := folderName(file); clean != Inbox && (!ok || back != clean) {
			t.Fatalf("%q has the file %q, which is %q, %v", clean, file, back, ok)
		}
	})
}
