package sts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/renameio/v2"
)

// files are a folder with one file for each domain that has a policy. It may
// be removed at any time: then policies are found again as if for the first time.
type files struct{ dir string }

const suffix = ".json"

// read returns the policy of domain; nil if there is none.
func (f files) read(domain string) (*Policy, error) {
	if f.dir == "" {
		return nil, nil
	}
	b, err := os.ReadFile(filepath.Join(f.dir, domain+suffix))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	p := &Policy{}
	if err := json.Unmarshal(b, p); err != nil {
		return nil, fmt.Errorf("%s: %w", domain+suffix, err)
	}
	if p.Domain != domain || p.Mode == "" {
		return nil, fmt.Errorf("%s: not a policy of that domain", domain+suffix)
	}
	// A clock that was ahead must not make a policy last for ever.
	p.Fetched = earlier(p.Fetched, time.Now())
	return p, nil
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func (f files) write(p *Policy) error {
	if f.dir == "" {
		return nil
	}
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		return err
	}
	b, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return renameio.WriteFile(filepath.Join(f.dir, p.Domain+suffix), b, 0o600)
}

// all reads every policy. Those that are expired or cannot be read are removed,
// and the oldest of too many.
func (f files) all(now time.Time) []*Policy {
	entries, err := os.ReadDir(f.dir)
	if err != nil || f.dir == "" {
		return nil
	}
	var list []*Policy
	for _, e := range entries {
		domain, ok := strings.CutSuffix(e.Name(), suffix)
		if !ok {
			continue
		}
		p, err := f.read(domain)
		if err != nil || p == nil || p.Expired(now) {
			os.Remove(filepath.Join(f.dir, e.Name()))
			continue
		}
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b *Policy) int { return b.Used.Compare(a.Used) })
	for len(list) > maxDomains {
		last := list[len(list)-1]
		os.Remove(filepath.Join(f.dir, last.Domain+suffix))
		list = list[:len(list)-1]
	}
	return list
}

// sweepEvery is how often [Cache.Run] looks for policies to refresh.
const sweepEvery = time.Hour

// Run refreshes policies in the background, each once a day for as long as it
// is used, until ctx ends: so that whoever keeps DNS or HTTPS from us for less
// than max_age gains nothing (RFC 8461 §10.2).
func (c *Cache) Run(ctx context.Context) {
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		c.refresh(ctx)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// refresh fetches one policy after the other. What fails is tried again at the
// next sweep.
func (c *Cache) refresh(ctx context.Context) {
	now := time.Now()
	for _, p := range c.files.all(now) {
		if ctx.Err() != nil {
			return
		}
		if now.Sub(p.Fetched) < refreshAfter || now.Sub(p.Used) > usedWithin {
			continue
		}
		c.asking.Do(p.Domain, func() (any, error) {
			s := c.stateOf(p.Domain)
			if s.policy != nil {
				c.renew(ctx, p.Domain, s.policy.ID, s)
			}
			return nil, nil
		})
	}
}
