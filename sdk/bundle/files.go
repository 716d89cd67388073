package bundle

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// zipped packs files. There are no times and no modes, so that equal files are
// equal octets.
func zipped(files map[string][]byte) ([]byte, error) {
	if len(files) > MaxFiles {
		return nil, fmt.Errorf("%d files, the limit is %d", len(files), MaxFiles)
	}
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	total := 0
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := checkName(name, files); err != nil {
			return nil, err
		}
		if total += len(files[name]); total > MaxOctets {
			return nil, fmt.Errorf("files of more than %d octets", MaxOctets)
		}
		f, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate})
		if err != nil {
			return nil, fmt.Errorf("pack %s: %w", name, err)
		}
		if _, err := f.Write(files[name]); err != nil {
			return nil, fmt.Errorf("pack %s: %w", name, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("pack files: %w", err)
	}
	return out.Bytes(), nil
}

func unzip(packed []byte) (map[string][]byte, error) {
	r, err := zip.NewReader(bytes.NewReader(packed), int64(len(packed)))
	if err != nil {
		return nil, fmt.Errorf("section %s: %w", FilesSection, err)
	}
	if len(r.File) > MaxFiles {
		return nil, fmt.Errorf("section %s: %d files, the limit is %d", FilesSection, len(r.File), MaxFiles)
	}
	files := make(map[string][]byte, len(r.File))
	left := int64(MaxOctets)
	for _, f := range r.File {
		if strings.HasSuffix(f.Name, "/") && f.UncompressedSize64 == 0 {
			continue // zip programs add folders; they are there by their files
		}
		if _, ok := files[f.Name]; ok {
			return nil, fmt.Errorf("section %s: %q stands twice", FilesSection, f.Name)
		}
		octets, err := unpack(f, left)
		if err != nil {
			return nil, fmt.Errorf("section %s: %q: %w", FilesSection, f.Name, err)
		}
		left -= int64(len(octets))
		files[f.Name] = octets
	}
	for name := range files {
		if err := checkName(name, files); err != nil {
			return nil, fmt.Errorf("section %s: %w", FilesSection, err)
		}
	}
	return files, nil
}

// unpack reads one file of at most limit octets, whatever its header says.
func unpack(f *zip.File, limit int64) ([]byte, error) {
	if !f.Mode().IsRegular() {
		return nil, fs.ErrInvalid
	}
	r, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	octets, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(octets)) > limit {
		err = fmt.Errorf("files of more than %d octets", MaxOctets)
	}
	return octets, err
}

// checkName tells whether a name is one of a file that can be there beside the
// others.
func checkName(name string, files map[string][]byte) error {
	if name == "." || !fs.ValidPath(name) || !utf8.ValidString(name) || strings.ContainsAny(name, "\\\x00") {
		return fmt.Errorf("%q: %w", name, errName)
	}
	for i, c := range name {
		if c != '/' {
			continue
		}
		if _, ok := files[name[:i]]; ok {
			return fmt.Errorf("%q is a file and a folder", name[:i])
		}
	}
	return nil
}
