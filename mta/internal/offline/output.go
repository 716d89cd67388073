package offline

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

// Write writes what would be queued into a folder: the message as BASE.eml, the
// other parts of a message that was divided as BASE.2.eml and so on, and what
// stages send as BASE.STAGE-1.eml. The report says where each went.
func (o *Outcome) Write(dir, base string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	parts := 0
	sent := map[string]int{}
	for i, tx := range o.Queued {
		name := base + ".eml"
		if tx.SentBy != "" {
			sent[tx.SentBy]++
			name = fmt.Sprintf("%s.%s-%d.eml", base, tx.SentBy, sent[tx.SentBy])
		} else if parts++; parts > 1 {
			name = fmt.Sprintf("%s.%d.eml", base, parts)
		}
		octets, err := mail.ReadAll(tx.Content)
		if err != nil {
			return err
		}
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, octets, 0o644); err != nil {
			return err
		}
		o.Report.Queued[i].File = file
	}
	return nil
}
