package mailbox

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/wasmta/wasmta/mta/internal/testpeer"
)

// A dovecot is doveadm working on bob's Maildir. It refuses to be root, so as
// root the tests give the Maildir to somebody else while it runs.
type dovecot struct {
	t      *testing.T
	dir    string
	config string
	uid    int
}

const nobodyUID = 65534

func newDovecot(t *testing.T) (*dovecot, *Store) {
	t.Helper()
	testpeer.Need(t, "doveadm", "dovecot-imapd")
	dir, err := os.MkdirTemp("", "mailbox-dovecot-") // t.TempDir is closed to others
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	d := &dovecot{t: t, dir: dir, config: filepath.Join(dir, "dovecot.conf"), uid: os.Geteuid()}
	if d.uid == 0 {
		d.uid = nobodyUID
	}
	s := open(t, filepath.Join(dir, "mail"))
	put(t, d.config, fmt.Sprintf(`
mail_location = maildir:%s
base_dir = %s
state_dir = %[2]s
log_path = /dev/stderr
first_valid_uid = 1
first_valid_gid = 1
mail_uid = %d
mail_gid = %[3]d
ssl = no
namespace inbox {
  inbox = yes
  separator = /
}
`, bobs(s), dir, d.uid))
	return d, s
}

// run runs doveadm and returns what it says.
func (d *dovecot) run(stdin string, args ...string) string {
	d.t.Helper()
	program := testpeer.Need(d.t, "doveadm", "dovecot-imapd")
	cmd := exec.Command(program, append([]string{"-c", d.config}, args...)...)
	cmd.Dir = d.dir
	cmd.Env = []string{"HOME=" + d.dir, "USER=bob", "PATH=" + os.Getenv("PATH")}
	cmd.Stdin = strings.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if os.Geteuid() == 0 {
		chown(d.t, d.dir, d.uid)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(d.uid), Gid: uint32(d.uid)}}
		defer chown(d.t, d.dir, 0)
	}
	out, err := cmd.Output()
	if err != nil || stderr.Len() > 0 {
		d.t.Fatalf("doveadm %v: %v: %s", args, err, &stderr)
	}
	return string(out)
}

func chown(t *testing.T, dir string, uid int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, uid, uid)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func lines(s string) []string {
	all := strings.Split(strings.TrimSpace(s), "\n")
	slices.Sort(all)
	return all
}

func TestDovecotWorksOnTheSameMaildir(t *testing.T) {
	d, s := newDovecot(t)
	deliver(t, s, "", "", crepe)
	deliver(t, s, "", "", crepe)
	deliver(t, s, "", `\Seen $Forwarded`, crepe)
	deliver(t, s, "Lists/go", `\Flagged`, crepe)
	deliver(t, s, "Entwürfe", "", crepe)
	m := mailbox(t, s, Inbox)
	size := view(t, m).Messages[0].Size

	// It sees what we have,
	if got, want := lines(d.run("", "mailbox", "list")), []string{"Entwürfe", "INBOX", "Lists", "Lists/go"}; !slices.Equal(got, want) {
		t.Errorf("mailboxes %q, want %q", got, want)
	}
	if got, want := lines(d.run("", "mailbox", "list", "-s")), []string{"Entwürfe", "Lists/go"}; !slices.Equal(got, want) {
		t.Errorf("subscriptions %q, want %q", got, want)
	}
	fetched := d.run("", "-f", "flow", "fetch", "uid flags size.virtual", "mailbox", "INBOX")
	want := fmt.Sprintf(`uid=1 flags=\Recent size.virtual=%d
uid=2 flags=\Recent size.virtual=%[1]d
uid=3 flags=\Seen \Recent $Forwarded size.virtual=%[1]d
`, size)
	if fetched != want {
		t.Errorf("got\n%swant\n%s", fetched, want)
	}

	// and we see what it does.
	d.run("", "flags", "add", `\Answered $Important`, "mailbox", "INBOX", "uid", "1")
	d.run("", "flags", "remove", `\Seen`, "mailbox", "INBOX", "uid", "3")
	d.run("", "expunge", "mailbox", "INBOX", "uid", "2")
	d.run("Subject: saved\n\nby Dovecot\n", "save", "-m", "INBOX")
	d.run("", "mailbox", "create", "Über/uns")
	d.run("", "mailbox", "subscribe", "Über/uns")
	d.run("", "mailbox", "unsubscribe", "Lists/go")
	wantList(t, m, `1:\Answered,$Important 3:$Forwarded 4`)
	if got, want := read(t, m, 4), "Subject: saved\r\n\r\nby Dovecot\r\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := folders(t, s), "INBOX Entwürfe+ (Lists)/ Lists/go (Über)/ Über/uns+"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}

	// Then we change things again.
	if _, err := m.SetFlags([]UID{4}, AddFlags, flags(t, `\Flagged $Important`)); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Move([]UID{1}, "Über/uns"); err != nil {
		t.Fatal(err)
	}
	fetched = d.run("", "-f", "flow", "fetch", "flags", "mailbox", "INBOX")
	if want := "flags=\\Recent $Forwarded\nflags=\\Flagged \\Recent $Important\n"; fetched != want {
		t.Errorf("got\n%swant\n%s", fetched, want)
	}
	fetched = d.run("", "-f", "flow", "fetch", "flags", "mailbox", "Über/uns")
	if want := "flags=\\Answered \\Recent $Important\n"; fetched != want {
		t.Errorf("got\n%swant\n%s", fetched, want)
	}
}

func TestMbsyncCopiesTheMaildir(t *testing.T) {
	mbsync := testpeer.Need(t, "mbsync", "isync")
	if _, err := user.Current(); err != nil {
		t.Skip("mbsync needs a user with a name: ", err)
	}
	dir := t.TempDir()
	s := open(t, filepath.Join(dir, "mail"))
	deliver(t, s, "", `\Seen \Flagged`, crepe)
	deliver(t, s, "", "", crepe)
	deliver(t, s, "Lists/go", "", crepe)
	m := mailbox(t, s, Inbox)
	wantList(t, m, `1:\Flagged,\Seen 2`)
	put(t, filepath.Join(dir, "mbsyncrc"), fmt.Sprintf(`
MaildirStore ours
Inbox %s
SubFolders Maildir++

MaildirStore copy
Path %[2]s/copy/
Inbox %[2]s/copy/INBOX
SubFolders Verbatim

Channel all
Far :ours:
Near :copy:
Patterns *
Create Both
Sync All
Expunge Both
SyncState %[2]s/state/
`, bobs(s), dir))
	for _, sub := range []string{"copy", "state"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	sync := func() {
		t.Helper()
		cmd := exec.Command(mbsync, "-c", filepath.Join(dir, "mbsyncrc"), "-a")
		cmd.Env = append(os.Environ(), "HOME="+dir)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("mbsync: %v: %s", err, out)
		}
	}
	sync()
	copied := names(t, filepath.Join(dir, "copy", "INBOX", "cur"))
	if len(copied) != 1 || !strings.HasSuffix(copied[0], ":2,FS") {
		t.Errorf("copied: %v", copied)
	}
	if got := names(t, filepath.Join(dir, "copy", "Lists", "go", "new")); len(got) != 1 {
		t.Errorf("copied from Lists/go: %v", got)
	}
	// The copy is read and answered; that comes back with the next run.
	from := filepath.Join(dir, "copy", "INBOX", "cur", copied[0])
	if err := os.Rename(from, strings.TrimSuffix(from, "FS")+"FRS"); err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(dir, "copy", "INBOX", "new", "1795500000.1_1.copy"), "Subject: written there\n\n")
	sync()
	wantList(t, m, `1:\Flagged,\Answered,\Seen 2 3`)
}
