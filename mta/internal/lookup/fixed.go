package lookup

import (
	"context"
	"fmt"
	"strings"

	"github.com/wasmta/wasmta/sdk/host"
)

// A Fixed resolver knows what it was given and nothing else: records by name
// (lower case, without the dot at the end) and type ("MX"). It implements
// [host.Resolver], for tests.
type Fixed map[string]map[string][]string

var _ host.Resolver = Fixed(nil)

// Types are the record types by the names that a [Fixed] has them under.
var Types = map[string]uint16{"A": 1, "NS": 2, "CNAME": 5, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28, "SRV": 33}

// Lookup implements [host.Resolver].
func (f Fixed) Lookup(ctx context.Context, qtype uint16, name string) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	for word, number := range Types {
		if number != qtype {
			continue
		}
		records := f[strings.ToLower(strings.TrimSuffix(name, "."))][word]
		if len(records) == 0 {
			return nil, host.ErrNotFound
		}
		return append([]string(nil), records...), nil
	}
	return nil, fmt.Errorf("%w: record type %d", host.ErrUnsupported, qtype)
}
