// Package bundle puts what a script language needs beside its runtime into the
// runtime's module, so that one .wasm file is the whole plugin. What a server
// does with it is the server's.
//
// A bundle is up to two custom sections of a module, at its end:
//
//   - mta.bundle is a JSON object (UTF-8, at most [MaxManifest] octets) with the
//     keys "mode", "args" and "env", see [Bundle]. A key that this package does
//     not know is an error, as it may be one that matters.
//   - mta.files is a zip archive of plain files (stored or deflated, no
//     encryption), which the guest finds below [Folder], read-only. Names are
//     relative, in UTF-8, with "/" between the elements and without "." and
//     "..". At most [MaxFiles] files of [MaxOctets] octets together.
//
// mta.files without mta.bundle is an error, and so is either section twice.
// Other sections are not looked at, and stay as they are, to the octet.
package bundle

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
)

// The custom sections.
const (
	ManifestSection = "mta.bundle"
	FilesSection    = "mta.files"
)

// Folder is where a guest finds the files of its bundle.
const Folder = "/plugin"

// Bounds of a bundle, so that reading one costs no more than reading a module.
const (
	MaxManifest = 64 << 10 // octets of JSON
	MaxFiles    = 10000    // the whole library of CPython has 2000
	MaxOctets   = 64 << 20 // of all files, unpacked
)

// A Mode is how a server speaks to a guest.
type Mode string

const (
	Native  Mode = "native"  // exported hooks, imported functions
	Command Mode = "command" // a WASI command for each message: standard input and output
	Loop    Mode = "loop"    // a WASI command that answers frames for as long as it lives
)

// A Bundle is what a module brings along.
type Bundle struct {
	Mode Mode              `json:"mode"`
	Args []string          `json:"args,omitempty"` // of the WASI command, the program's name first
	Env  map[string]string `json:"env,omitempty"`  // beside what the server sets

	// Files are the octets of each file by its name below [Folder].
	Files map[string][]byte `json:"-"`
}

// Read gives the bundle of a module; nil if it has none. wasm is not changed,
// and the bundle shares no memory with it.
func Read(wasm []byte) (*Bundle, error) {
	var manifest, files []byte
	err := sections(wasm, func(_ []byte, name string, content []byte) error {
		place := map[string]*[]byte{ManifestSection: &manifest, FilesSection: &files}[name]
		switch {
		case place == nil:
			return nil
		case *place != nil:
			return fmt.Errorf("section %s stands twice", name)
		}
		*place = content
		return nil
	})
	switch {
	case err != nil:
		return nil, err
	case manifest == nil && files == nil:
		return nil, nil
	case manifest == nil:
		return nil, fmt.Errorf("section %s without %s", FilesSection, ManifestSection)
	}
	b, err := readManifest(manifest)
	if err == nil && files != nil {
		b.Files, err = unzip(files)
	}
	if err != nil {
		return nil, err
	}
	return b, nil
}

func readManifest(text []byte) (*Bundle, error) {
	if len(text) > MaxManifest {
		return nil, fmt.Errorf("section %s of %d octets, the limit is %d", ManifestSection, len(text), MaxManifest)
	}
	b := new(Bundle)
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(b); err != nil {
		return nil, fmt.Errorf("section %s: %w", ManifestSection, err)
	}
	if dec.More() {
		return nil, fmt.Errorf("section %s: more than one JSON object", ManifestSection)
	}
	return b, b.check()
}

// check tells whether a server can do what the manifest says.
func (b *Bundle) check() error {
	if !slices.Contains([]Mode{Native, Command, Loop}, b.Mode) {
		return fmt.Errorf("section %s: mode %q is none of native, command and loop", ManifestSection, b.Mode)
	}
	for _, arg := range b.Args {
		if bytes.ContainsRune([]byte(arg), 0) {
			return fmt.Errorf("section %s: NUL in an argument", ManifestSection)
		}
	}
	for key, value := range b.Env {
		if key == "" || bytes.ContainsAny([]byte(key), "=\x00") || bytes.ContainsRune([]byte(value), 0) {
			return fmt.Errorf("section %s: variable %q cannot be set", ManifestSection, key)
		}
	}
	return nil
}

// Bare gives a copy of a module without its bundle. Modules that differ in their
// bundles alone are the same code, which needs to be compiled once.
func Bare(wasm []byte) ([]byte, error) {
	out := slices.Clone(wasm[:min(len(wasm), headerLen)])
	err := sections(wasm, func(section []byte, name string, _ []byte) error {
		if name != ManifestSection && name != FilesSection {
			out = append(out, section...)
		}
		return nil
	})
	return out, err
}

// Write gives a copy of a module with b as its bundle, and without the one that
// it had. Equal modules and bundles give equal octets.
func Write(wasm []byte, b Bundle) ([]byte, error) {
	if err := b.check(); err != nil {
		return nil, err
	}
	out, err := Bare(wasm)
	if err != nil {
		return nil, err
	}
	manifest, err := json.Marshal(b)
	if err != nil {
		return nil, err
	}
	if len(manifest) > MaxManifest {
		return nil, fmt.Errorf("manifest of %d octets, the limit is %d", len(manifest), MaxManifest)
	}
	out = appendSection(out, ManifestSection, manifest)
	if len(b.Files) == 0 {
		return out, nil
	}
	files, err := zipped(b.Files)
	if err != nil {
		return nil, err
	}
	return appendSection(out, FilesSection, files), nil
}

// FS is the files as a read-only file system, to be mounted at [Folder]. Its
// files can seek. Safe for concurrent use, as long as Files stays as it is.
func (b *Bundle) FS() fs.FS { return newTree(b.Files) }

var errName = errors.New("no plain relative name")
