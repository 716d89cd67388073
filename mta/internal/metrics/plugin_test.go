package metrics

import (
	"fmt"
	"strings"
	"sync"
	"testing"
)

func TestPluginsCount(t *testing.T) {
	s := full()
	p := s.Plugin("greylist")
	p.Count("greylisted", 1)
	p.Count("greylisted", 41)
	s.Plugin("greylist").Count("greylisted", 0)
	s.Plugin("another").Count("greylisted", 7)
	p.Observe("score", 4.5)
	p.Observe("score", 1e12)
	got := read(t, s)
	for _, want := range []string{
		`mta_plugin_count_total{name="greylisted",stage="greylist"} 42`,
		`mta_plugin_count_total{name="greylisted",stage="another"} 7`,
		`mta_plugin_observed_bucket{name="score",stage="greylist",le="5"} 1`,
		`mta_plugin_observed_count{name="score",stage="greylist"} 2`,
	} {
		if !strings.Contains(got, want+"\n") {
			t.Errorf("no %s", want)
		}
	}
}

func TestBadNamesOfPluginsAreDropped(t *testing.T) {
	s := full()
	p := s.Plugin("a")
	for _, name := range []string{"", "Big", "1st", "_x", "a-b", "a b", "é", "a\"} 1\n", strings.Repeat("x", 65)} {
		p.Count(name, 1)
		p.Observe(name, 1)
	}
	p.Count("down", -1)
	got := read(t, s)
	if strings.Contains(got, "mta_plugin_count_total{") || strings.Contains(got, "mta_plugin_observed_count{") {
		t.Errorf("one is counted: %s", got)
	}
	if want := `mta_plugin_dropped_total{stage="a"} 19`; !strings.Contains(got, want+"\n") {
		t.Errorf("no %s", want)
	}
}

func TestNamesOfPluginsAreBounded(t *testing.T) {
	s := full()
	p := s.Plugin("a")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 2 * maxPluginNames {
				p.Count(fmt.Sprintf("n%d", i), 1)
			}
		})
	}
	wg.Wait()
	if n := strings.Count(read(t, s), "mta_plugin_count_total{"); n != maxPluginNames {
		t.Errorf("%d names, want %d", n, maxPluginNames)
	}
}
