package toolchain

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/wasmta/wasmta/sdk"
)

// writeSDK puts the SDK of a language, a folder of sdk.Files, below j.tmp, as
// the folder to. A plugin that has a copy of its own uses that.
func writeSDK(j *job, folder, to string) error {
	return fs.WalkDir(sdk.Files, folder, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		file := filepath.Join(j.tmp, to, filepath.FromSlash(strings.TrimPrefix(name, folder)))
		if d.IsDir() {
			return os.MkdirAll(file, 0o700)
		}
		b, err := fs.ReadFile(sdk.Files, name)
		if err != nil {
			return err
		}
		return os.WriteFile(file, b, 0o600)
	})
}

// sdkDigest is for a recipe: another SDK is a reason to build again.
func sdkDigest(folder string) []string {
	h := sha256.New()
	_ = fs.WalkDir(sdk.Files, folder, func(name string, d fs.DirEntry, err error) error { // an embedded folder has no errors
		if err == nil && !d.IsDir() {
			b, _ := fs.ReadFile(sdk.Files, name)
			fmt.Fprintf(h, "%s %d\n%s", name, len(b), b)
		}
		return err
	})
	return []string{fmt.Sprintf("sdk %x", h.Sum(nil))}
}
