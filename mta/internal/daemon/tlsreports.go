package daemon

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/google/renameio/v2"

	"github.com/wasmta/wasmta/mta/internal/relay/tlsrpt"
)

const (
	// reportsDir has a folder for each day, UTC, and in it a report for each
	// domain that mail went to over TLS, or should have.
	reportsDir = "tls-reports"

	// reportsEvery is how often those of today are written again.
	reportsEvery = time.Hour

	// reportsKept is for how long reports are kept.
	reportsKept = 30 * 24 * time.Hour
)

// reportTLS writes the reports of how TLS with next hops went (RFC 8460), each
// hour and at the end. To send them is left to the operator.
func (s *Server) reportTLS(ctx context.Context) {
	ticker := time.NewTicker(reportsEvery)
	defer ticker.Stop()
	for day := time.Now(); ; {
		over := false
		select {
		case <-ctx.Done():
			over = true
		case <-ticker.C:
		}
		now := time.Now()
		for _, of := range []time.Time{day, now} { // the last of yesterday, too
			if err := s.writeReports(of); err != nil {
				s.log.Warn("TLS reports not written", "err", err)
			}
		}
		if day = now; over {
			return
		}
		s.removeReports(now.Add(-reportsKept))
	}
}

// writeReports writes those of one day.
func (s *Server) writeReports(day time.Time) error {
	domains := s.tlsReports.Domains(day)
	if len(domains) == 0 {
		return nil
	}
	dir := filepath.Join(s.cfg.State, reportsDir, day.UTC().Format(time.DateOnly))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	by := tlsrpt.Sender{Organization: s.cfg.Hostname, Contact: s.cfg.DoubleBounces().String()}
	var errs []error
	for _, domain := range domains {
		text := s.tlsReports.Report(by, domain, day)
		if text != nil && filepath.Base(domain) == domain { // the domain of an address can be much
			errs = append(errs, renameio.WriteFile(filepath.Join(dir, domain+".json"), text, 0o600))
		}
	}
	return errors.Join(errs...)
}

// removeReports removes those of the days before one.
func (s *Server) removeReports(before time.Time) {
	root := filepath.Join(s.cfg.State, reportsDir)
	days, _ := os.ReadDir(root) // there may be none
	for _, d := range days {
		if day, err := time.Parse(time.DateOnly, d.Name()); err == nil && day.Before(before) {
			if err := os.RemoveAll(filepath.Join(root, d.Name())); err != nil {
				s.log.Warn("TLS reports not removed", "err", err)
			}
		}
	}
}
