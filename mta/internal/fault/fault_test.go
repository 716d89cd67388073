package fault

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// The tests play each scenario a few times; `go run ./mta/fault` plays them at
// length. No test concludes anything from how long something took.

// shared is the folder of mta, built once for all tests.
var shared string

func TestMain(m *testing.M) {
	code := m.Run()
	if shared != "" {
		os.RemoveAll(shared)
	}
	os.Exit(code)
}

var binary = sync.OnceValues(func() (path string, err error) {
	if shared, err = os.MkdirTemp("", "mta-fault-test-"); err != nil {
		return "", err
	}
	return Build(shared)
})

// few is how often a test makes a fault happen.
var few = map[string]int{"kill": 4, "kill-start": 2, "power": 2, "disk-full": 2, "disk-readonly": 1, "disk-slow": 1, "hops": 6}

func TestScenarios(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes a minute")
	}
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range append(Scenarios(), everyQuirk()) {
		for _, store := range s.Stores {
			if _, ok := stores[store]; !ok || few[s.Name] == 0 {
				continue
			}
			t.Run(s.Name+"/"+store, func(t *testing.T) {
				play(t, &Suite{Dir: t.TempDir(), Binary: path, Seed: 1, Times: few[s.Name], Log: t.Output()}, s, store)
			})
		}
	}
}

func play(t *testing.T, suite *Suite, s *Scenario, store string) {
	result, err := suite.play(t.Context(), s, store)
	if err != nil {
		t.Fatal(err)
	}
	if result.Skipped != "" {
		t.Skip(result.Skipped)
	}
	t.Log(result.Summary())
	for _, v := range result.Violations {
		t.Error(v)
	}
	if result.Accepted == 0 || result.Delivered == 0 || result.Relayed == 0 {
		t.Error("the run shows nothing")
	}
}

// everyQuirk has all next hops that misbehave in one scenario.
func everyQuirk() *Scenario {
	s := nextHop("hops", "next hops that misbehave in every way", "", nil)
	for _, one := range nextHops() {
		s.Quirks = append(s.Quirks, one.Quirks...)
	}
	return s
}

// TestHarnessFindsLoss has the queue lose something: its folder is emptied while
// the server is down. The harness must say so, or it proves nothing.
func TestHarnessFindsLoss(t *testing.T) {
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	s := killed()
	s.Quirks = []Quirk{{At: "mail", Do: "4xx", Share: 1}} // so that something is in the queue
	s.Fault = func(r *Run, _ int) error {
		n := r.Nodes[0]
		n.kill()
		if err := os.RemoveAll(filepath.Join(n.State, "queue")); err != nil {
			return err
		}
		return n.start()
	}
	suite := &Suite{Dir: t.TempDir(), Binary: path, Seed: 1, Times: 1, Log: t.Output()}
	result, err := suite.play(t.Context(), s, Spool)
	if err != nil {
		t.Fatal(err)
	}
	lost := 0
	for _, v := range result.Violations {
		if strings.HasPrefix(v, "lost: ") {
			lost++
		}
	}
	if lost == 0 {
		t.Errorf("nothing is found: %+v", result)
	}
}
