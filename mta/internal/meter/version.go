package meter

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"sync"
)

//go:embed *.go
var source embed.FS

// Version names what Rewrite makes of a module: it is another one after any
// change of this package, so that what was kept of an older one is not taken
// for its work.
var Version = sync.OnceValue(func() string {
	h := sha256.New()
	names, err := fs.Glob(source, "*.go") // sorted
	if err != nil {
		panic(err) // a pattern that is malformed
	}
	for _, name := range names {
		text, err := source.ReadFile(name)
		if err != nil {
			panic(err) // a file that the pattern has just found
		}
		h.Write([]byte(name))
		h.Write(text)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
})
