package condition

import (
	"github.com/wasmta/wasmta/mta/internal/mail"
)

// header is the first field of that name, unfolded and decoded.
func header(tx *mail.Transaction, name string) (string, error) { return "", nil }
