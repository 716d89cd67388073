package daemon

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/wasmta/wasmta/mta/internal/config"
	"github.com/wasmta/wasmta/mta/internal/relay/tlsrpt"
)

// What was counted is on the disk once the server has ended, and what is old is
// removed.
func TestTLSReports(t *testing.T) {
	s := &Server{cfg: &config.Config{Hostname: "crepes.fr", State: t.TempDir()}, log: slog.New(slog.DiscardHandler)}
	now := time.Now()
	s.tlsReports.Add(now, tlsrpt.Event{Domain: "hamburger.edu", Policy: tlsrpt.STS})
	s.tlsReports.Add(now, tlsrpt.Event{Domain: "hamburger.edu", Policy: tlsrpt.STS, Failure: tlsrpt.Expired, Host: "mx.hamburger.edu"})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s.reportTLS(ctx)
	root := filepath.Join(s.cfg.State, reportsDir)
	text, err := os.ReadFile(filepath.Join(root, now.UTC().Format(time.DateOnly), "hamburger.edu.json"))
	if err != nil {
		t.Fatal(err)
	}
	var report struct {
		Policies []struct {
			Summary map[string]int `json:"summary"`
		} `json:"policies"`
	}
	if err := json.Unmarshal(text, &report); err != nil || len(report.Policies) != 1 {
		t.Fatalf("got %s, %v", text, err)
	}
	if got := report.Policies[0].Summary; got["total-successful-session-count"] != 1 || got["total-failure-session-count"] != 1 {
		t.Errorf("got %v", got)
	}
	s.removeReports(now.Add(48 * time.Hour))
	if days, err := os.ReadDir(root); err != nil || len(days) != 0 {
		t.Errorf("left: %v, %v", days, err)
	}
}
