package fault

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// buildWithClock builds mta with a clock that can be set. The kernel has one
// time of day for all processes, and a Go program does not ask libc for it, so
// what is changed is time.Now: it adds an offset that the process reads from the
// file that MTA_FAULT_CLOCK names. As when an operator sets the clock, time.Now
// jumps, and timers and time.Since do not. Times that come from the kernel, as
// those of files, stay.
func buildWithClock(dir string) (binary string, err error) {
	source, err := goEnv("GOROOT")
	if err != nil {
		return "", err
	}
	now := filepath.Join(source, "src", "time", "time.go")
	text, err := os.ReadFile(now)
	if err != nil {
		return "", err
	}
	const before, after = "\tsec, nsec, mono := runtimeNow()\n", "\tsec += Offset.Load()\n"
	if strings.Count(string(text), before) == 0 {
		return "", errors.New("time.Now of this Go is not as it was; buildWithClock needs another look")
	}
	changed := strings.ReplaceAll(string(text), before, before+after)
	changed = strings.Replace(changed, "import (\n", "import (\n\t\"sync/atomic\"\n", 1) +
		"\n// Offset is added to the time of day, in seconds.\nvar Offset atomic.Int64\n"
	module, err := goEnv("GOMOD")
	if err != nil {
		return "", err
	}
	replace := map[string]string{}
	for path, content := range map[string]string{
		now: changed,
		filepath.Join(filepath.Dir(module), "mta", "fault_clock.go"): follow,
	} {
		file := filepath.Join(dir, filepath.Base(path))
		replace[path] = file
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			return "", err
		}
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(file, overlay, 0o600); err != nil {
		return "", err
	}
	return build(filepath.Join(dir, "mta-clock"), "-overlay", file)
}

// follow is a file of package main in mta: it reads the offset again and again.
const follow = `package main

import (
	"os"
	"strconv"
	"time"
)

func init() {
	read := func() {
		text, _ := os.ReadFile(os.Getenv("MTA_FAULT_CLOCK"))
		if n, err := strconv.ParseInt(string(text), 10, 64); err == nil {
			time.Offset.Store(n)
		}
	}
	read()
	go func() {
		for range time.Tick(5 * time.Millisecond) {
			read()
		}
	}()
}
`

func goEnv(name string) (string, error) {
	out, err := exec.Command("go", "env", name).Output()
	if err != nil {
		return "", fmt.Errorf("go env: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// setClock has the time of day of all nodes differ from the true one.
func (r *Run) setClock(d time.Duration) error {
	file := filepath.Join(r.Dir, "clock")
	text := strconv.Itoa(int(d / time.Second))
	if err := os.WriteFile(file+".new", []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}

func clockJumps() *Scenario {
	return &Scenario{
		Name: "clock", What: "the clock jumps by an hour, back and forth",
		Stores: []string{Spool, Redis}, Times: 10, Load: Load{Refused: true, Pause: 10 * time.Millisecond},
		Quirks: []Quirk{{At: "mail", Do: "4xx", Share: share}},
		Prepare: func(r *Run) (err error) {
			r.env = append(r.env, "MTA_FAULT_CLOCK="+filepath.Join(r.Dir, "clock"))
			if r.Binary, err = buildWithClock(r.Dir); err != nil {
				return err
			}
			return r.setClock(0)
		},
		Fault: func(r *Run, i int) error {
			hours := []time.Duration{1, 0, -1, 0}[i%4]
			return r.setClock(hours * time.Hour)
		},
	}
}
