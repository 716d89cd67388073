package wasm

import (
	"context"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// background is for what outlives one test.
var background = context.Background()

// TestMain keeps what was built and compiled for all tests of one run, and
// sees to it that none leaves a goroutine behind.
func TestMain(m *testing.M) {
	var err error
	if cacheDir, err = os.MkdirTemp("", "wasm-test-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.RemoveAll(cacheDir)
	os.Exit(code)
}
