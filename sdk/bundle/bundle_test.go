package bundle

import (
	"archive/zip"
	"bytes"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"
)

const empty = "\x00asm\x01\x00\x00\x00"

// typed is a module with a section of its own and a custom one.
const typed = empty + "\x01\x04\x01\x60\x00\x00" + "\x00\x06\x04name\x01"

func TestWriteAndRead(t *testing.T) {
	want := Bundle{
		Mode: Loop,
		Args: []string{"python", "-S", Folder + "/plugin.py"},
		Env:  map[string]string{"PYTHONHASHSEED": "0"},
		Files: map[string][]byte{
			"plugin.py":   []byte("import mta\n"),
			"lib/mta.py":  []byte(strings.Repeat("x = 1\n", 1000)),
			"lib/é/a.txt": {0, 255},
		},
	}
	once, err := Write([]byte(typed), want)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(once, []byte(typed)) {
		t.Error("the module itself changed")
	}
	got, err := Read(once)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(*got, want) {
		t.Errorf("got %+v, want %+v", *got, want)
	}
	if bare, err := Bare(once); err != nil || string(bare) != typed {
		t.Errorf("without the bundle it is another module (%v)", err)
	}
	twice, err := Write(once, *got)
	if err != nil || !bytes.Equal(once, twice) {
		t.Errorf("written again it is another module (%v)", err)
	}
	if err := fstest.TestFS(got.FS(), "plugin.py", "lib/mta.py", "lib/é/a.txt"); err != nil {
		t.Error(err)
	}
}

func TestNoBundle(t *testing.T) {
	for _, module := range []string{empty, typed} {
		if b, err := Read([]byte(module)); b != nil || err != nil {
			t.Errorf("got %v, %v", b, err)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	section := func(name, content string) string { return string(appendSection(nil, name, []byte(content))) }
	native := section(ManifestSection, `{"mode":"native"}`)
	for _, tt := range []struct{ name, module, want string }{
		{"no module", "MZ", "no WebAssembly module"},
		{"a component", "\x00asm\x0d\x00\x01\x00", "no WebAssembly module"},
		{"a section that is cut off", empty + "\x01\x05\x00", "ends within a section"},
		{"a section without a length", empty + "\x01", "ends within a section"},
		{"a name longer than its section", empty + "\x00\x01\x05", "ends within a section"},
		{"two manifests", empty + native + native, "stands twice"},
		{"files alone", empty + section(FilesSection, ""), "without mta.bundle"},
		{"no JSON", empty + section(ManifestSection, "mode"), "invalid character"},
		{"two objects", empty + section(ManifestSection, `{"mode":"native"}{}`), "more than one"},
		{"an unknown key", empty + section(ManifestSection, `{"mode":"native","net":true}`), `unknown field "net"`},
		{"an unknown mode", empty + section(ManifestSection, `{"mode":"daemon"}`), "none of native"},
		{"a bad variable", empty + section(ManifestSection, `{"mode":"loop","env":{"A=B":"c"}}`), "cannot be set"},
		{"a bad argument", empty + section(ManifestSection, `{"mode":"loop","args":["\u0000"]}`), "NUL"},
		{"a manifest without end", empty + section(ManifestSection, strings.Repeat(" ", MaxManifest+1)), "the limit is"},
		{"no zip", empty + native + section(FilesSection, "PK"), "not a valid zip"},
		{"a way out", empty + native + section(FilesSection, archive("../etc/passwd")), "no plain relative name"},
		{"an absolute name", empty + native + section(FilesSection, archive("/etc/passwd")), "no plain relative name"},
		{"a name twice", empty + native + section(FilesSection, archive("a", "a")), "stands twice"},
		{"a file in a file", empty + native + section(FilesSection, archive("a", "a/b")), "a file and a folder"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if b, err := Read([]byte(tt.module)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, %v, want %q", b, err, tt.want)
			}
		})
	}
}

func TestFilesAreBounded(t *testing.T) {
	if _, err := Write([]byte(empty), Bundle{Mode: Native, Files: map[string][]byte{"big": make([]byte, MaxOctets+1)}}); err == nil {
		t.Error("wrote more than the limit")
	}
	var packed bytes.Buffer
	w := zip.NewWriter(&packed)
	for _, name := range []string{"a", "b"} {
		f, err := w.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write(make([]byte, MaxOctets/2+1)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := unzip(packed.Bytes()); err == nil || !strings.Contains(err.Error(), "files of more than") {
		t.Errorf("got %v", err)
	}
}

func TestWriteRefuses(t *testing.T) {
	for name, b := range map[string]Bundle{
		"no mode":  {},
		"bad name": {Mode: Native, Files: map[string][]byte{"a/../b": nil}},
		"backward": {Mode: Native, Files: map[string][]byte{`a\b`: nil}},
		"too long": {Mode: Native, Args: []string{strings.Repeat("x", MaxManifest)}},
	} {
		if _, err := Write([]byte(empty), b); err == nil {
			t.Errorf("%s: written", name)
		}
	}
	if _, err := Write([]byte("no module"), Bundle{Mode: Native}); err == nil {
		t.Error("wrote a bundle into what is no module")
	}
}

// archive is a zip file of empty files with these names.
func archive(names ...string) string {
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, name := range names {
		if _, err := w.Create(name); err != nil {
			panic(err)
		}
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return out.String()
}

func FuzzRead(f *testing.F) {
	whole, err := Write([]byte(typed), Bundle{Mode: Native, Files: map[string][]byte{"a/b": []byte("c")}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add([]byte(typed))
	f.Fuzz(func(t *testing.T, module []byte) {
		b, err := Read(module)
		if err != nil || b == nil {
			return
		}
		again, err := Write(module, *b)
		if err != nil {
			t.Fatalf("read, but not written: %v", err)
		}
		got, err := Read(again)
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Files) != len(b.Files) || got.Mode != b.Mode {
			t.Errorf("got %+v, want %+v", got, b)
		}
	})
}
