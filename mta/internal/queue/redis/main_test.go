package redis

import (
	"context"
	"flag"
	"os"
	"testing"
)

var ctx = context.Background()

// TestMain keeps the random part of the suite short, for it is run on four kinds
// of servers. -rapid.checks makes it as long as one likes.
func TestMain(m *testing.M) {
	flag.Set("rapid.checks", "15")
	flag.Parse()
	os.Exit(m.Run())
}
