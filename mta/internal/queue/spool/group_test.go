package spool

import (
	"errors"
	"testing"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
)

// TestFailingFileOperationsLeaveNoneOfAGroup lets each operation fail while two
// large contents and a small one are put together.
func TestFailingFileOperationsLeaveNoneOfAGroup(t *testing.T) {
	now := time.Now()
	var deposits []queue.Deposit
	for _, size := range []int{2 * maxInline, 100, 2 * maxInline} {
		deposits = append(deposits, queue.Deposit{Entry: benchEntry(now), Content: mail.Bytes(make([]byte, size)), Until: now.Add(time.Hour)})
	}
	for n := 0; ; n++ {
		files := &faultyFiles{left: 1000}
		s, err := open(t.TempDir(), discard, files)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		files.left = n
		err = s.PutAll(ctx, deposits)
		if files.left >= 0 {
			if err != nil {
				t.Errorf("without a fault: %v", err)
			}
			if n < 10 {
				t.Errorf("only %d operations were made to fail", n)
			}
			return
		}
		if !errors.Is(err, errFault) {
			t.Errorf("the fault at operation %d: put all says %v", n, err)
		}
		if names, _ := s.files.names(s.path("")); len(names) != 0 {
			t.Errorf("the fault at operation %d leaves %v", n, names)
		}
		if left, err := s.List(ctx, now, queue.Filter{}, "", 10); err != nil || len(left) != 0 {
			t.Errorf("the fault at operation %d: left %v, %v", n, left, err)
		}
		files.left = 1000
		if err := s.PutAll(ctx, deposits); err != nil {
			t.Errorf("the fault at operation %d: put again: %v", n, err)
		}
	}
}

// TestIDInUseLeavesNoFile holds that a group which is refused by the index
// takes its files away, and not those of the entry that was there.
func TestIDInUseLeavesNoFile(t *testing.T) {
	s := mustOpen(t, t.TempDir())
	defer s.Close()
	there := put(t, s, 2*maxInline)
	other := benchEntry(time.Now())
	err := s.PutAll(ctx, []queue.Deposit{
		{Entry: other, Content: mail.Bytes(make([]byte, 2*maxInline))},
		{Entry: there, Content: mail.Bytes(make([]byte, 100))},
	})
	if !errors.Is(err, queue.ErrExists) {
		t.Errorf("got %v", err)
	}
	if names, err := s.files.names(s.path("")); err != nil || len(names) != 1 || names[0] != string(there.ID) {
		t.Errorf("the files are %v, %v; want that of %s", names, err, there.ID)
	}
}
