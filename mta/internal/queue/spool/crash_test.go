package spool

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
)

// childEnv has this test binary run as another process: its value is what to
// do, a blank, and the store's folder.
const childEnv = "SPOOL_TEST_CHILD"

func TestMain(m *testing.M) {
	what, dir, _ := strings.Cut(os.Getenv(childEnv), " ")
	switch what {
	case "put":
		putForever(dir)
	case "use":
		use(dir)
	case "full":
		fullDisk(dir)
	default:
		os.Exit(m.Run())
	}
}

func child(t *testing.T, what, dir string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+what+" "+dir)
	cmd.Stderr = os.Stderr
	return cmd
}

// contentOf is a content that can be told from its ID alone; one in ten is too
// large for the index.
func contentOf(id mail.QueueID) mail.Bytes {
	sum := sha256.Sum256([]byte(id))
	n := 100 + int(binary.BigEndian.Uint16(sum[:]))%8000
	if sum[2]%10 == 0 {
		n += maxInline
	}
	var seed [32]byte
	copy(seed[:], sum[:])
	b := make([]byte, n)
	rand.NewChaCha8(seed).Read(b)
	return b
}

// replacementOf is the content that takes the place of that of an entry; the
// entry is Warned then.
func replacementOf(id mail.QueueID) mail.Bytes { return contentOf("another " + id) }

// putForever puts, replaces, updates and removes entries from several goroutines, and
// says so once each is done.
func putForever(dir string) {
	ctx := context.Background()
	s, err := Open(dir, discard)
	if err != nil {
		fmt.Println("error", err)
		return
	}
	var mu sync.Mutex
	say := func(what string, id mail.QueueID) {
		mu.Lock()
		fmt.Println(what, id) // straight to the pipe
		mu.Unlock()
	}
	for range 8 {
		go func() {
			for {
				now := time.Now()
				e := benchEntry(now)
				err := s.Put(ctx, e, contentOf(e.ID), now.Add(time.Hour))
				if err != nil {
					say("error", mail.QueueID(err.Error()))
					continue
				}
				say("put", e.ID)
				switch rand.IntN(5) {
				case 4:
					err = putTogether(ctx, s, now)
				case 2:
					say("replacing", e.ID)
					e.Warned = true
					if err = s.Replace(ctx, e, replacementOf(e.ID), nil); err == nil {
						say("replaced", e.ID)
					}
				case 0:
					say("removing", e.ID)
					err = s.Remove(ctx, e)
				case 1:
					say("updating", e.ID)
					e.Attempts = 1
					if err = s.Update(ctx, e); err == nil {
						say("updated", e.ID)
					}
				}
				if err != nil {
					say("error", mail.QueueID(err.Error()))
				}
			}
		}()
	}
	select {}
}

// putTogether puts three entries, each of which names all three.
func putTogether(ctx context.Context, s *Store, now time.Time) error {
	var deposits []queue.Deposit
	var names []string
	for range 3 {
		e := benchEntry(now)
		deposits = append(deposits, queue.Deposit{Entry: e, Content: contentOf(e.ID)})
		names = append(names, string(e.ID))
	}
	for _, d := range deposits {
		d.Entry.Envelope.EnvID = strings.Join(names, " ")
	}
	return s.PutAll(ctx, deposits)
}

// checkTogether holds that of entries that were put together all are there.
func checkTogether(t *testing.T, s *Store, entries []*queue.Entry) (groups int) {
	t.Helper()
	there := map[string]bool{}
	for _, e := range entries {
		there[string(e.ID)] = true
	}
	for _, e := range entries {
		names := strings.Fields(e.Envelope.EnvID)
		if len(names) == 0 {
			continue
		}
		groups++
		for _, name := range names {
			if !there[name] {
				t.Errorf("%s is there without %s", e.ID, name)
			}
		}
		c, err := s.Content(context.Background(), e.ID)
		if err != nil {
			t.Fatalf("content of %s: %v", e.ID, err)
		}
		if got, err := mail.ReadAll(c); err != nil || string(got) != string(contentOf(e.ID)) {
			t.Errorf("content of %s has %d octets, %v", e.ID, len(got), err)
		}
	}
	return groups / 3
}

// TestKilledWhileWriting kills a process that writes, again and again, and
// looks for all that it said it had written.
func TestKilledWhileWriting(t *testing.T) {
	dir := t.TempDir()
	state := map[mail.QueueID]string{} // the last thing said of each
	rounds, groups := 12, 0
	if testing.Short() {
		rounds = 3
	}
	for round := range rounds {
		killed(t, child(t, "put", dir), 20+rand.IntN(400), state)
		groups = checkState(t, dir, state, round)
	}
	if len(state) < 100 || groups == 0 {
		t.Errorf("only %d entries and %d groups of them were written", len(state), groups)
	}
}

// killed runs cmd, notes what it says, and kills it after so many lines.
func killed(t *testing.T, cmd *exec.Cmd, lines int, state map[mail.QueueID]string) {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := bufio.NewScanner(out)
	for n := 0; said.Scan(); n++ {
		if n == lines {
			cmd.Process.Kill() // what is in the pipe was said before
		}
		what, id, _ := strings.Cut(said.Text(), " ")
		if what == "error" {
			t.Errorf("the child says %s", said.Text())
		}
		state[mail.QueueID(id)] = what
	}
	cmd.Wait() // "signal: killed"
}

// checkState returns how many groups of entries that were put together are there.
func checkState(t *testing.T, dir string, state map[mail.QueueID]string, round int) (groups int) {
	t.Helper()
	ctx := context.Background()
	s := mustOpen(t, dir)
	defer s.Close()
	for id, what := range state {
		e, err := s.Get(ctx, id)
		if what == "removing" && errors.Is(err, queue.ErrNotFound) {
			continue // it may be gone; it may be there
		}
		if err != nil {
			t.Fatalf("round %d: %s was %s: %v", round, id, what, err)
		}
		if what == "updated" && e.Attempts != 1 {
			t.Errorf("round %d: the update of %s is lost", round, id)
		}
		c, err := s.Content(ctx, id)
		if err != nil {
			t.Fatalf("round %d: content of %s: %v", round, id, err)
		}
		want := contentOf(id)
		if e.Warned {
			want = replacementOf(id)
		} else if what == "replaced" {
			t.Errorf("round %d: the replacement of %s is lost", round, id)
		}
		got, err := mail.ReadAll(c)
		if err != nil || string(got) != string(want) {
			t.Fatalf("round %d: content of %s has %d octets of %d, %v", round, id, len(got), len(want), err)
		}
	}
	entries, err := s.List(ctx, time.Now(), queue.Filter{}, "", 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	checkConsistent(t, s)
	return checkTogether(t, s, entries)
}

// checkConsistent compares the index with itself and with the folder.
func checkConsistent(t *testing.T, s *Store) {
	t.Helper()
	ctx := context.Background()
	now := time.Now().Add(24 * time.Hour)
	entries, err := s.List(ctx, now, queue.Filter{}, "", 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	stats, err := s.Stats(ctx, now)
	if err != nil || stats.Waiting+stats.Active+stats.Held != len(entries) {
		t.Errorf("stats %+v, %v; listed %d", stats, err, len(entries))
	}
	claimed, err := s.Claim(ctx, now, now.Add(time.Minute), 1<<30, nil)
	if err != nil || len(claimed) != stats.Waiting+stats.Active {
		t.Errorf("claimed %d, %v; stats %+v", len(claimed), err, stats)
	}
	names, err := s.files.names(s.path(""))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		id := mail.QueueID(strings.TrimSuffix(name, second))
		if r, err := s.record(id); err != nil || r.file(id) != name {
			t.Errorf("%s is left in the content folder: %v", name, err)
		}
	}
}

// fullDisk has no file grow beyond a limit, which is what a full disk looks
// like to one process, then lifts it.
func fullDisk(dir string) {
	signal.Ignore(syscall.SIGXFSZ)
	ctx := context.Background()
	fatal := func(what string, err error) {
		fmt.Println(what, err)
		os.Exit(1)
	}
	s, err := Open(dir, discard)
	if err != nil {
		fatal("open", err)
	}
	put := func(size int) (*queue.Entry, error) {
		now := time.Now()
		e := benchEntry(now)
		return e, s.Put(ctx, e, mail.Bytes(make([]byte, size)), now.Add(time.Hour))
	}
	var kept []*queue.Entry
	for range 20 {
		e, err := put(4096)
		if err != nil {
			fatal("put before", err)
		}
		kept = append(kept, e)
	}
	var old syscall.Rlimit
	syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old)
	syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 128 << 10, Max: old.Max})
	for _, size := range []int{60 << 10, 300 << 10} {
		for range 20 {
			if e, err := put(size); err == nil {
				kept = append(kept, e)
			} else if size > maxInline && !errors.Is(err, syscall.EFBIG) {
				fatal("put on a full disk", err)
			}
		}
	}
	refused := len(kept) < 60
	if err := s.Remove(ctx, kept[0]); err != nil {
		fatal("remove", err)
	}
	syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old)
	for range 20 {
		e, err := put(60 << 10)
		if err != nil {
			fatal("put after", err)
		}
		kept = append(kept, e)
	}
	if err := s.Close(); err != nil {
		fatal("close", err)
	}
	fmt.Println("refused", refused)
	for _, e := range kept[1:] {
		fmt.Println("kept", e.ID)
	}
}

func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	out, err := child(t, "full", dir).Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if !strings.HasPrefix(string(out), "refused true\n") {
		t.Fatalf("nothing was refused: %s", out)
	}
	s := mustOpen(t, dir)
	defer s.Close()
	want := 0
	for line := range strings.Lines(string(out)) {
		id, ok := strings.CutPrefix(strings.TrimSpace(line), "kept ")
		if !ok {
			continue
		}
		want++
		if _, err := s.Content(context.Background(), mail.QueueID(id)); err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
	if stats, _ := s.Stats(context.Background(), time.Now()); stats.Waiting != want {
		t.Errorf("stats %+v, want %d: what was refused must not be there", stats, want)
	}
	checkConsistent(t, s)
}
