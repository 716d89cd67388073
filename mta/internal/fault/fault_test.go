package fault

import (
	"io"
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

// few is how often a test makes a fault happen; of what is not here there is no
// short form.
var few = map[string]int{
	"kill": 3, "power": 1, "disk-full": 1, "disk-readonly": 1, "hops": 1,
	"call-kill": 12, "call-power": 12, "call-torn": 12, "call-error": 12, "call-full": 12, "call-readonly": 12,
	"redis-step": 4, "redis-flush": 1, "redis-half": 2,
}

// atOnce is how many runs are under way at the same time: they wait more than
// they work.
const atOnce = 6

func TestScenarios(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes a minute")
	}
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	type run struct {
		scenario *Scenario
		store    string
		result   *Result
		err      error
		done     chan struct{}
	}
	var runs []*run
	var all sync.WaitGroup
	places := make(chan struct{}, atOnce)
	for _, s := range append(Scenarios(), everyQuirk()) {
		for _, store := range s.Stores {
			if few[s.Name] == 0 {
				continue
			}
			suite := &Suite{Dir: t.TempDir(), Binary: path, Seed: 1, Times: few[s.Name], Brief: true, Log: io.Discard}
			r := &run{scenario: s, store: store, done: make(chan struct{})}
			runs = append(runs, r)
			all.Go(func() {
				places <- struct{}{}
				r.result, r.err = suite.play(t.Context(), s, store)
				<-places
				close(r.done)
			})
		}
	}
	for _, r := range runs {
		t.Run(r.scenario.Name+"/"+r.store, func(t *testing.T) {
			<-r.done
			judge(t, r.scenario, r.result, r.err)
		})
	}
	all.Wait()
}

func judge(t *testing.T, s *Scenario, result *Result, err error) {
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
	if result.Accepted == 0 || result.Bounced == 0 && s.Load.Refused || result.Relayed == 0 {
		t.Error("the run shows nothing")
	}
	if s.Inside != nil && len(result.Calls[accepting]) == 0 {
		t.Errorf("no call was broken while a message was accepted: %v", result.Calls)
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
