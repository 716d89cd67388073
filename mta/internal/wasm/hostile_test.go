package wasm

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/sdk/abi"
)

// villains are the guests of testdata/hostile that harm when they are asked,
// with what their calls may end in.
var villains = map[string][]Kind{
	"loop":      {KindFuel, KindTimeout},
	"bomb":      {KindFuel, KindTimeout},
	"moves":     {KindFuel, KindTimeout},
	"recursion": {KindDepth, KindTimeout},
	"grow":      {KindFuel, KindTimeout, KindMemory},
	"table":     {KindFuel, KindTimeout},
	"fill":      {KindFuel, KindTimeout, KindMemory},
	"copy":      {KindFuel, KindTimeout, KindMemory},
	"log":       {KindFuel, KindTimeout, KindCalls},
	"stderr":    {KindFuel, KindTimeout, KindCalls},
	"vectors":   {KindTrap},
	"poll":      {KindTrap},
	"sleep":     {KindTimeout},
	"random":    {KindFuel, KindTimeout, KindCalls},
	"calls":     {KindFuel, KindTimeout, KindCalls},
	"headers":   {KindFuel, KindTimeout, KindCalls},
	"strings":   {KindFuel, KindTimeout, KindCalls},
	"parts":     {KindFuel, KindTimeout, KindCalls},
	"backwards": {KindFuel, KindTimeout, KindCalls},
	"huge":      nil, // does not load
	"start":     nil,
	"early":     nil,
	"reenter":   {""},
	"honest":    {""},
}

// bomb is functions without a loop, each of which calls the one before twice:
// 2^45 calls.
func bomb() string {
	var b strings.Builder
	b.WriteString("(module (memory 1) (func $f0)\n")
	for i := range 45 {
		fmt.Fprintf(&b, "(func $f%d (call $f%d) (call $f%d))\n", i+1, i, i)
	}
	b.WriteString(`(func (export "on_message") (result i32) (call $f45) (i32.const 0)))`)
	return b.String()
}

// manyLocals is a loop whose few instructions make the runtime move 3000 locals on
// each round, as some other path has set them.
func manyLocals() string {
	const locals = 3000
	var b strings.Builder
	fmt.Fprintf(&b, "(module (func (export \"on_message\") (result i32) (local%s)\n(loop $l (if (i64.eqz (local.get 0)) (then\n", strings.Repeat(" i64", locals))
	for i := range locals - 1 {
		fmt.Fprintf(&b, "(local.set %d (i64.add (local.get %d) (i64.const 1)))\n", i+1, (i+1)%(locals-1)+1)
	}
	b.WriteString("))\n(local.set 0 (i64.sub (local.get 0) (i64.const 1))) (br_if $l (i64.ne (local.get 0) (i64.const 1))))\n")
	for i := range locals - 1 {
		fmt.Fprintf(&b, "(drop (i64.div_u (i64.const 1) (i64.or (local.get %d) (i64.const 1))))\n", i+1)
	}
	b.WriteString("(i32.const 0)))")
	return b.String()
}

// villain is the module of that name.
func villain(t testing.TB, name string) []byte {
	t.Helper()
	switch name {
	case "bomb":
		return wat(t, bomb())
	case "moves":
		return wat(t, manyLocals())
	}
	return watFile(t, filepath.Join("testdata", "hostile", name+".wat"))
}

// TestVillainsAreAllTested holds that each file of testdata/hostile is asked.
func TestVillainsAreAllTested(t *testing.T) {
	files, err := filepath.Glob("testdata/hostile/*.wat")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".wat")
		if _, ok := villains[name]; !ok {
			t.Errorf("%s is not in the table", name)
		}
	}
}

// millionParts is a message with more parts than anybody looks at.
func millionParts() mail.Content {
	var b bytes.Buffer
	b.WriteString("Content-Type: multipart/mixed; boundary=b\r\n\r\n")
	for range 1_000_000 {
		b.WriteString("--b\r\n\r\nx\r\n")
	}
	b.WriteString("--b--\r\n")
	return mail.Bytes(b.Bytes())
}

// longText is one part whose text has to be decoded and converted.
func longText(octets int) mail.Content {
	var b bytes.Buffer
	b.WriteString("Content-Type: text/plain; charset=windows-1252\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n")
	for b.Len() < octets {
		b.WriteString("=80 and some more text that goes on until the line is full, as it is=\r\n")
	}
	return mail.Bytes(b.Bytes())
}

// overtime is how long after its deadline a guest may go on. The race detector
// makes the host ten times slower.
func overtime() time.Duration {
	if raceDetector {
		return 100 * time.Millisecond
	}
	return 10 * time.Millisecond
}

// TestVillains asks each of them, with much fuel and little time and with little
// fuel and much time. An honest stage works beside them all the while.
func TestVillains(t *testing.T) {
	rt := newRuntime(t, Options{})
	stop := beside(t, rt)
	defer stop()
	contents := map[string]mail.Content{"parts": millionParts(), "backwards": longText(20 << 20)}
	for name, kinds := range villains {
		if kinds == nil {
			continue
		}
		t.Run(name, func(t *testing.T) {
			code := villain(t, name)
			content := contents[name]
			if content == nil {
				content = mail.Bytes(letter)
			}
			quick := Budget{Memory: 4 << 20, Timeout: 50 * time.Millisecond, Fuel: 1e15, HostCalls: 1e9}
			late := least(10, overtime(), func() time.Duration { return ask(t, rt, code, quick, content, kinds) - quick.Timeout })
			if late > overtime() {
				t.Errorf("ended %v after its time, and at best", late)
			}
			ask(t, rt, code, Budget{Memory: 4 << 20, Timeout: 2 * time.Second, Fuel: 1e6, HostCalls: 1000}, content, kinds)
		})
	}
}

// least is the least of up to n measurements, as soon as one is good: others may
// have been disturbed.
func least(n int, good time.Duration, measure func() time.Duration) time.Duration {
	best := measure()
	for range n - 1 {
		if best <= good {
			break
		}
		best = min(best, measure())
	}
	return best
}

// ask asks a guest once, and tells how long it took.
func ask(t *testing.T, rt *Runtime, code []byte, budget Budget, content mail.Content, kinds []Kind) time.Duration {
	t.Helper()
	p := loadWith(t, rt, LoadOptions{Wasm: code, Budget: budget})
	defer p.Close(background)
	tx := transaction()
	tx.Content = content
	a, err := p.Handle(t.Context(), abi.HookMessage, tx)
	kind := Kind("")
	if e, ok := errors.AsType[*Error](err); ok {
		kind = e.Kind
		if strings.Contains(e.Error(), "\n") {
			t.Errorf("error is no line: %v", e)
		}
		want, _ := mail.ReadAll(content)
		if got, err := mail.ReadAll(tx.Content); err != nil || !bytes.Equal(got, want) {
			t.Errorf("the content is another one: %v", err)
		}
	}
	if !slices.Contains(kinds, kind) {
		t.Errorf("got %v, want one of %q", err, kinds)
	}
	if a.Used.Fuel == 0 && kind != KindTrap {
		t.Errorf("used %+v", a.Used)
	}
	return a.Used.Time
}

// beside asks an honest stage until the function it returns is called, and
// looks at each answer.
func beside(t *testing.T, rt *Runtime) (stop func()) {
	p := loadWith(t, rt, LoadOptions{Wasm: villain(t, "honest")})
	ctx, cancel := context.WithCancel(t.Context())
	var asked int
	var longest time.Duration
	var wg sync.WaitGroup
	wg.Go(func() {
		for ctx.Err() == nil {
			tx := transaction()
			began := time.Now()
			a, err := p.Handle(t.Context(), abi.HookMessage, tx)
			longest = max(longest, time.Since(began))
			if err != nil || a.Verdict != mail.Continue {
				t.Errorf("the honest stage: %v, %v", a.Verdict, err)
			}
			if b, _ := mail.ReadAll(tx.Content); string(b) != "X-Honest: Honest\r\n"+letter {
				t.Errorf("the honest stage left %q", b)
			}
			asked++
		}
	})
	return func() {
		cancel()
		wg.Wait()
		t.Logf("an honest stage was asked %d times, and took %v at most", asked, longest)
		if asked == 0 {
			t.Error("the honest stage was never asked")
		}
	}
}

// TestVillainsDoNotLoad has those that harm while they are loaded.
func TestVillainsDoNotLoad(t *testing.T) {
	rt := newRuntime(t, Options{})
	for name, want := range map[string]string{
		"huge": "ran out of memory, the limit is 64MiB", "start": "used its 1M units of fuel",
	} {
		_, err := rt.Load(t.Context(), LoadOptions{Name: "test", Wasm: villain(t, name), Load: Budget{Fuel: 1e6}})
		if e, ok := errors.AsType[*Error](err); !ok || e.Kind != KindLoad || !strings.Contains(e.Detail, want) {
			t.Errorf("%s: got %v, want %q", name, err, want)
		}
	}
	load(t, rt, villain(t, "early")) // the host says no to what its start function asks
}

// TestManyVillains holds that messages which end in an error leave nothing:
// neither memory, nor mapped areas, nor goroutines, nor open files.
func TestManyVillains(t *testing.T) {
	rounds := 10_000
	if testing.Short() {
		rounds = 500
	}
	rt := newRuntime(t, Options{})
	var plugins []*Plugin
	for name, kinds := range villains {
		if kinds == nil || name == "sleep" || name == "backwards" {
			continue
		}
		plugins = append(plugins, loadWith(t, rt, LoadOptions{
			Wasm: villain(t, name), Budget: Budget{Memory: 4 << 20, Fuel: 100_000, HostCalls: 500, Timeout: 5 * time.Second},
		}))
	}
	slices.SortFunc(plugins, func(a, b *Plugin) int { return cmp.Compare(a.name, b.name) })
	var fifths []footprint
	for range 5 {
		var wg sync.WaitGroup
		for worker := range 2 {
			wg.Go(func() {
				for i := range rounds / 5 / 2 {
					p := plugins[(i+worker)%len(plugins)]
					p.Handle(t.Context(), abi.HookMessage, transaction())
				}
			})
		}
		wg.Wait()
		fifths = append(fifths, measure(t))
	}
	first, last := fifths[1], fifths[4]
	t.Logf("after each fifth of %d messages: %+v", rounds, fifths)
	if last.goroutines > first.goroutines+2 || last.heap > first.heap+2<<20 || last.resident > first.resident+16<<20 ||
		last.maps > first.maps+20 || last.files > first.files+2 {
		t.Errorf("after the second fifth %+v, after the last %+v", first, last)
	}
}

// A footprint is what the process holds.
type footprint struct{ goroutines, heap, resident, maps, files int }

func measure(t *testing.T) footprint {
	t.Helper()
	runtime.GC()
	debug.FreeOSMemory() // what the heap has free is not held, whenever the collector came
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	f := footprint{goroutines: runtime.NumGoroutine(), heap: int(s.HeapAlloc)}
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return f // not on Linux
	}
	f.resident, _ = strconv.Atoi(strings.Fields(string(b))[1])
	f.resident *= os.Getpagesize()
	b, _ = os.ReadFile("/proc/self/maps")
	f.maps = bytes.Count(b, []byte("\n"))
	files, _ := os.ReadDir("/proc/self/fd")
	f.files = len(files)
	return f
}

// TestOthersGoOn holds that a guest which computes for long keeps nobody waiting,
// even where it has the only processor: neither the garbage collector, which would
// stop the whole server, nor other goroutines, as whose a collection counts: it
// takes several turns of them.
func TestOthersGoOn(t *testing.T) {
	rt := newRuntime(t, Options{})
	for _, name := range []string{"loop", "bomb", "fill", "copy"} {
		// So much fuel that it takes half a second, and longer on a busy machine.
		p := loadWith(t, rt, LoadOptions{Wasm: villain(t, name), Budget: Budget{Fuel: 1e9, Timeout: time.Minute}})
		for _, processors := range []int{1, 2} {
			n := collections(t, p, processors)
			t.Logf("%s, %d processors: %d collections in the time of a call", name, processors, n)
			if n < 5 { // without turns there are two or three
				t.Error("want five at least")
			}
		}
	}
}

// collections counts those that there is time for while a guest runs.
func collections(t *testing.T, p *Plugin, processors int) (n int) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(processors))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		p.Handle(t.Context(), abi.HookMessage, transaction())
	}()
	for len(p.slots) == 0 {
		runtime.Gosched()
	}
	for done := false; !done; n++ {
		runtime.GC()
		select {
		case <-ended:
			done = true
		default:
		}
	}
	return n
}
