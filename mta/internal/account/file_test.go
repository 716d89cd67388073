package account

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

func TestCleanName(t *testing.T) {
	for in, want := range map[string]string{
		"Bob@Hamburger.EDU":     "bob@hamburger.edu",
		"bob+x@hamburger.edu":   "bob+x@hamburger.edu",
		"BÜCHER@Bücher.example": "bücher@xn--bcher-kva.example",
		"u\u0308@hamburger.edu": "ü@hamburger.edu",
		`"bob"@hamburger.edu`:   "bob@hamburger.edu",
		"o'hara@hamburger.edu":  "o'hara@hamburger.edu",
	} {
		if got, err := CleanName(in); got != want || err != nil {
			t.Errorf("%q: got %q, %v, want %q", in, got, err, want)
		}
	}
	for name, in := range map[string]string{
		"empty": "", "no domain": "bob", "no local part": "@b", "quotes": `"a b"@c`, "a slash": "a/b@c", "a quoted slash": `"a/b"@c`,
		"NUL": "a\x00@c", "a dot in front": ".a@c", "up": "../a@c", "not UTF-8": "\xff@c", "a line": "a\n@c",
		"a backslash": `a\b@c`, "long": strings.Repeat("a", 65) + "@c",
	} {
		if got, err := CleanName(in); !errors.Is(err, ErrName) {
			t.Errorf("%s: %q is %q, %v", name, in, got, err)
		}
	}
}

func TestABadConfig(t *testing.T) {
	cfg := Config{
		Domains:  []Domain{{Name: "a.example", Postmaster: "nobody"}},
		Accounts: []Account{{"bob", cheap}, {"a@a.example", "ketchup"}, {"b@a.example", cheap}, {"B@A.example", cheap}},
	}
	_, err := New(cfg, nil, newGuard(), nil)
	for _, want := range []string{"account bob: ", "account a@a.example: not an argon2id hash", "account B@A.example: is there twice", "postmaster of a.example: "} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in %v", want, err)
		}
	}
}

func TestAFileThatCannotBeRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "accounts.json")
	file := OpenFile(path, nil)
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	bad := map[string]string{
		"not JSON":         "{",
		"a bad name":       `{"accounts":[{"name":"bob","password":"` + cheap + `"}]}`,
		"a bad hash":       `{"accounts":[{"name":"bob@a.example","password":"ketchup"}]}`,
		"an account twice": `{"accounts":[{"name":"b@a.example","password":"` + cheap + `"},{"name":"B@a.example","password":"` + cheap + `"}]}`,
	}
	for name, text := range bad {
		write(text)
		if _, err := file.List(); err == nil {
			t.Errorf("%s, from the first: no error", name)
		}
		d := directory(t, hamburger(), file)
		if _, err := d.Authenticate(t.Context(), "carol@hamburger.edu", "x", client); errors.Is(err, ErrBadCredentials) || err == nil {
			t.Errorf("%s: a login is answered with %v", name, err)
		}
		if err := file.Add("carol@hamburger.edu", "x"); err == nil {
			t.Errorf("%s: was overwritten", name)
		}
	}
	write(`{"accounts":[{"name":"b@a.example","password":"` + cheap + `"}]}`)
	for name, text := range bad {
		if got, err := file.List(); err != nil || !slices.Equal(got, []string{"b@a.example"}) {
			t.Fatalf("%s: before: %v, %v", name, got, err)
		}
		write(text)
		if got, err := file.List(); err != nil || !slices.Equal(got, []string{"b@a.example"}) {
			t.Errorf("%s: those of before do not stay: %v, %v", name, got, err)
		}
		write(`{"accounts":[{"name":"b@a.example","password":"` + cheap + `"}]}`)
	}
	os.Remove(path)
	if got, err := file.List(); err != nil || len(got) != 0 {
		t.Errorf("without the file: %v, %v", got, err)
	}
}

func TestTheFileIsPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "accounts.json")
	file := OpenFile(path, nil)
	if err := file.Add("bob@a.example", "x"); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	b, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(b), `"name": "bob@a.example"`) {
		t.Errorf("%s, %v", b, err)
	}
}

func TestChangesAtTheSameTime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "accounts.json")
	const n = 8
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			if err := OpenFile(path, nil).change(fmt.Sprintf("user%d@a.example", i), func(all map[string]Account, name string) error {
				all[name] = Account{name, cheap}
				return nil
			}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	got, err := OpenFile(path, nil).List()
	if err != nil || len(got) != n {
		t.Errorf("got %v, %v", got, err)
	}
	left, _ := filepath.Glob(path + ".tmp-*")
	if len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestKnown(t *testing.T) {
	d := directory(t, hamburger(), nil)
	for in, want := range map[string]string{
		"Bob@hamburger.edu":        "bob@hamburger.edu",
		"carol@hamburger.edu":      "",
		"bob+y@hamburger.edu":      "",
		"postmaster@empty.example": "postmaster@empty.example",
		"postmaster@hamburger.edu": "", // alice has that mail
		"postmaster@example.com":   "",
		"../bob":                   "",
	} {
		if got, ok := d.Known(in); (ok && got != want) || ok != (want != "") {
			t.Errorf("%s: got %q, %v, want %q", in, got, ok, want)
		}
	}
}
