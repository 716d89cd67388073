package fault

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// A Suite plays scenarios, one after the other.
type Suite struct {
	Dir    string // of all runs; mta is built into it
	Binary string // mta; empty: it is built
	Seed   uint64
	Stores []string // nil: all that a scenario is for
	Times  int      // zero: as the scenario says
	Brief  bool     // what takes a minute takes seconds
	Keep   bool     // the folders of runs that passed
	Log    io.Writer
}

// Play plays the scenarios and returns what came of each, in order. An error
// ends it: one run could not be played.
func (s *Suite) Play(ctx context.Context, scenarios []*Scenario) (results []*Result, err error) {
	if s.Binary == "" {
		if s.Binary, err = Build(s.Dir); err != nil {
			return nil, err
		}
	}
	for _, scenario := range scenarios {
		for _, store := range scenario.Stores {
			if _, ok := stores[store]; !ok || len(s.Stores) > 0 && !slices.Contains(s.Stores, store) {
				continue
			}
			result, err := s.play(ctx, scenario, store)
			if err != nil {
				return results, fmt.Errorf("%s, %s, seed %d: %w", scenario.Name, store, s.Seed, err)
			}
			results = append(results, result)
			fmt.Fprintln(s.Log, result.Summary())
		}
	}
	return results, nil
}

func (s *Suite) play(ctx context.Context, scenario *Scenario, store string) (*Result, error) {
	for _, needs := range []func() error{scenario.Needs, stores[store].needs} {
		if needs == nil {
			continue
		}
		if err := needs(); err != nil {
			return &Result{Scenario: scenario.Name, What: scenario.What, Store: store, Seed: s.Seed, Skipped: err.Error()}, nil
		}
	}
	r := &Run{Scenario: scenario, Store: store, Seed: s.Seed, Times: scenario.Times, Binary: s.Binary, Brief: s.Brief,
		Dir: filepath.Join(s.Dir, fmt.Sprintf("%s-%s-%d", scenario.Name, store, s.Seed))}
	if s.Times > 0 {
		r.Times = s.Times
	}
	result, err := r.Play(ctx)
	if err == nil && result.Passed() && !s.Keep {
		err = os.RemoveAll(r.Dir)
	}
	return result, err
}
