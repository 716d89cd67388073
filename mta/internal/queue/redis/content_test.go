package redis

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
	"github.com/wasmta/wasmta/mta/internal/testpeer/redistest"
)

// large is a content that goes into the folder, and not into Redis.
func large() mail.Bytes {
	b := make([]byte, 200_000)
	rand.Read(b)
	return b
}

func inFolder(t *testing.T, server *redistest.Server) (s *Store, folder string) {
	t.Helper()
	folder = filepath.Join(t.TempDir(), "contents")
	return real(t, Options{URL: server.URL(), Prefix: t.Name(), Contents: folder, ContentLimit: 100_000}), folder
}

func wantFiles(t *testing.T, folder string, want int) {
	t.Helper()
	files, err := os.ReadDir(folder)
	must(t, err)
	if len(files) != want {
		t.Errorf("the folder has %v, want %d files", files, want)
	}
}

func wantContent(t *testing.T, s *Store, id mail.QueueID, want mail.Bytes) {
	t.Helper()
	c, err := s.Content(ctx, id)
	must(t, err)
	for range 2 {
		if got, err := mail.ReadAll(c); err != nil || !bytes.Equal(got, want) {
			t.Errorf("content of %d octets, %v; want %d", len(got), err, len(want))
		}
	}
}

func TestContentsAreShared(t *testing.T) {
	server := redistest.New(t, redistest.Options{})
	s, folder := inFolder(t, server)
	e, content := message(), large()
	must(t, s.Put(ctx, e, content, time.Now().Add(lease)))
	wantFiles(t, folder, 1)
	other := real(t, Options{URL: server.URL(), Prefix: t.Name(), Contents: folder, Node: "other"})
	wantContent(t, other, e.ID, content)

	second := large()
	must(t, s.Replace(ctx, e, second, nil))
	wantContent(t, other, e.ID, second)
	s.unlinkReleased(ctx)
	wantFiles(t, folder, 1)
	must(t, s.Remove(ctx, e))
	s.unlinkReleased(ctx)
	wantFiles(t, folder, 0)
	s.unlinkReleased(ctx)

	if _, err := real(t, Options{URL: server.URL(), Prefix: t.Name()}).Content(ctx, e.ID); !errors.Is(err, queue.ErrNotFound) {
		t.Errorf("content of what was removed: %v", err)
	}
}

// short says that it has more octets than it has.
type short struct{ mail.Bytes }

func (s short) Size() int64 { return int64(len(s.Bytes)) + 1 }

// failing cannot be read to its end.
type failing struct{ mail.Bytes }

var errBroken = errors.New("broken on purpose")

func (f failing) Open() (io.ReadCloser, error) {
	return io.NopCloser(io.MultiReader(bytes.NewReader(f.Bytes[:1000]), errReader{})), nil
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, errBroken }

// What is not put leaves no file.
func TestNothingIsLeftInFolder(t *testing.T) {
	server := redistest.New(t, redistest.Options{})
	s, folder := inFolder(t, server)
	if err := s.Put(ctx, message(), short{large()}, time.Time{}); err == nil {
		t.Error("a content that is too short was put")
	}
	if err := s.Put(ctx, message(), failing{large()}, time.Time{}); !errors.Is(err, errBroken) {
		t.Errorf("got %v", err)
	}
	wantFiles(t, folder, 0)
	e := put(t, s)
	if err := s.Put(ctx, e, large(), time.Time{}); !errors.Is(err, queue.ErrExists) {
		t.Errorf("got %v", err)
	}
	wantFiles(t, folder, 0)
	must(t, server.Kill())
	if err := s.Put(ctx, message(), large(), time.Time{}); !errors.Is(err, ErrAway) {
		t.Errorf("got %v", err)
	}
	if _, unknown := errors.AsType[*UnknownError](s.Put(ctx, message(), large(), time.Time{})); !unknown {
		wantFiles(t, folder, 0)
	}
}

// A file stays while its put may still come true.
func TestFileStaysInDoubt(t *testing.T) {
	server := redistest.New(t, redistest.Options{})
	p := newProxy(t, server)
	folder := t.TempDir()
	s := real(t, Options{URL: p.url(), Contents: folder, ContentLimit: 100_000})
	put(t, s)
	e, content := message(), large()
	p.lose(1000, 0)
	if _, unknown := errors.AsType[*UnknownError](s.Put(ctx, e, content, time.Time{})); !unknown {
		t.Fatal("there is no doubt")
	}
	p.pass()
	wantSettled(t, s, e, true)
	wantContent(t, s, e.ID, content)
}

func TestOrphansAreSwept(t *testing.T) {
	server := redistest.New(t, redistest.Options{})
	s, folder := inFolder(t, server)
	e, content := message(), large()
	must(t, s.Put(ctx, e, content, time.Time{}))
	inChunksToo := message()
	must(t, s.Put(ctx, inChunksToo, mail.Bytes(make([]byte, 90_000)), time.Time{}))
	write := func(name string) {
		must(t, os.WriteFile(filepath.Join(folder, name), []byte(hello), 0o600))
	}
	write(string(mail.NewQueueID(time.Now())) + "-NEVERPUT")
	write(string(mail.NewQueueID(time.Now())) + "-HALF.tmp")
	write(string(e.ID) + "-ANOTHERTRY")
	write(string(inChunksToo.ID) + "-OLD")
	write("README")
	write("not-ours")
	s.sweepContents(ctx, time.Now().Add(-time.Hour)) // they are too new
	wantFiles(t, folder, 7)
	must(t, server.Pause())
	away := real(t, Options{URL: server.URL(), Prefix: t.Name(), Contents: folder, DialTimeout: 50 * time.Millisecond, ReplyTimeout: 50 * time.Millisecond})
	away.sweepContents(ctx, time.Now().Add(time.Hour)) // nobody knows
	wantFiles(t, folder, 7)
	must(t, server.Resume())
	s.sweepContents(ctx, time.Now().Add(time.Hour))
	wantFiles(t, folder, 3)
	wantContent(t, s, e.ID, content)
}

// Chunks that no entry took end by themselves.
func TestChunksEnd(t *testing.T) {
	server := redistest.New(t, redistest.Options{})
	s := real(t, Options{URL: server.URL()})
	e := put(t, s)
	if err := s.Put(ctx, e, large(), time.Time{}); !errors.Is(err, queue.ErrExists) {
		t.Fatalf("got %v", err)
	}
	keys, err := s.client.Keys(ctx, "*:c:*").Result()
	must(t, err)
	if len(keys) == 0 {
		t.Fatal("there are no chunks")
	}
	for _, key := range keys {
		if life, err := s.client.TTL(ctx, key).Result(); err != nil || life <= 0 || life > chunkLife {
			t.Errorf("%s ends in %v, %v", key, life, err)
		}
	}
	big := message()
	must(t, s.Put(ctx, big, large(), time.Now().Add(lease)))
	kept, err := s.client.Keys(ctx, "*:c:"+string(big.ID)+"*").Result()
	must(t, err)
	for _, key := range kept {
		if life, err := s.client.TTL(ctx, key).Result(); err != nil || life > 0 {
			t.Errorf("a chunk of an entry ends in %v, %v", life, err)
		}
	}
	must(t, s.Remove(ctx, big))
	if left, err := s.client.Keys(ctx, "*:c:"+string(big.ID)+"*").Result(); err != nil || len(left) != 0 || len(kept) == 0 {
		t.Errorf("of %v is left %v, %v", kept, left, err)
	}
}
