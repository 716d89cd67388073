package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wasmta/wasmta/mta/internal/testpeer"
)

// command runs a real program and returns what it printed; it must end well.
func command(t testing.TB, dir string, name string, args ...string) string {
	t.Helper()
	out, err := try(dir, name, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", filepath.Base(name), strings.Join(args, " "), err, out)
	}
	return out
}

func try(dir, name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+dir, "TERM=dumb", "LC_ALL=C.UTF-8")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}

// TestSwaks sends with and without AUTH, and is refused where it should be.
func TestSwaks(t *testing.T) {
	swaks := testpeer.Need(t, "swaks", "swaks")
	s := Start(t, hamburger("relay: {allow: []}\n"))
	to := []string{"--to", "bob@hamburger.edu", "--from", "alice@crepes.fr"}
	smtp := append([]string{"--server", s.Addr("smtp")}, to...)
	submission := append([]string{"--server", s.Addr("submission")}, to...)

	command(t, t.TempDir(), swaks, smtp...)
	command(t, t.TempDir(), swaks, append(smtp, "--pipeline")...)
	for _, mechanism := range []string{"PLAIN", "LOGIN"} {
		command(t, t.TempDir(), swaks, append(submission, "--auth", mechanism, "--auth-user", "alice@hamburger.edu", "--auth-password", "ketchup")...)
	}
	inMailbox(t, s, 4)

	for what, args := range map[string][]string{
		"530 5.7.0": submission,
		"535 5.7.8": append(submission, "--auth", "PLAIN", "--auth-user", "alice@hamburger.edu", "--auth-password", "mustard"),
		"554 5.7.1": {"--server", s.Addr("smtp"), "--to", "carol@elsewhere.example", "--from", "alice@crepes.fr"},
		"550 5.1.1": {"--server", s.Addr("smtp"), "--to", "nobody@hamburger.edu", "--from", "alice@crepes.fr"},
	} {
		out, err := try(t.TempDir(), swaks, args...)
		if err == nil || !strings.Contains(out, what) {
			t.Errorf("swaks %s: %v, want a refusal with %s\n%s", strings.Join(args, " "), err, what, out)
		}
	}
	inMailbox(t, s, 4)
}

// TestCurl sends a file by SMTP and fetches it by POP3 and IMAP: what a
// newcomer does first, with the commands that the server prints.
func TestCurl(t *testing.T) {
	curl := testpeer.Need(t, "curl", "curl")
	s := Start(t, plain(t, ""))
	file := filepath.Join(Root(t), "examples/messages/crepe.eml")
	command(t, t.TempDir(), curl, "-sS", "smtp://"+s.Addr("smtp"), "--mail-from", "alice@crepes.fr", "--mail-rcpt", "bob@hamburger.edu", "-T", file)
	inMailbox(t, s, 1)
	sent, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, url := range []string{"pop3://" + s.Addr("pop3") + "/1", "imap://" + s.Addr("imap") + "/INBOX;UID=1"} {
		got := command(t, t.TempDir(), curl, "-sS", "--user", "bob@hamburger.edu:ketchup", url)
		if !strings.HasSuffix(strings.ReplaceAll(got, "\r\n", "\n"), strings.ReplaceAll(string(sent), "\r\n", "\n")) {
			t.Errorf("%s: not what was sent:\n%.1000s", url, got)
		}
		if !strings.Contains(got, "\nReceived: from") {
			t.Errorf("%s: no Received field\n%.1000s", url, got)
		}
	}
	if got := command(t, t.TempDir(), curl, "-sS", "--user", "bob@hamburger.edu:ketchup", "imap://"+s.Addr("imap")+"/", "-X", "LIST \"\" *"); !strings.Contains(got, "INBOX") {
		t.Errorf("LIST: %s", got)
	}
}

// TestNeomutt opens the mailbox over IMAP and saves a message from it.
func TestNeomutt(t *testing.T) {
	mutt := testpeer.Need(t, "neomutt", "neomutt")
	curl := testpeer.Need(t, "curl", "curl")
	s := Start(t, plain(t, ""))
	command(t, t.TempDir(), curl, "-sS", "smtp://"+s.Addr("smtp"), "--mail-from", "alice@crepes.fr", "--mail-rcpt", "bob@hamburger.edu",
		"-T", filepath.Join(Root(t), "examples/messages/crepe.eml"))
	inMailbox(t, s, 1)
	home := t.TempDir()
	copied := filepath.Join(home, "copy.mbox")
	rc := fmt.Sprintf(`set folder="imap://bob%%40hamburger.edu@%s/"
set spoolfile="+INBOX"
set imap_pass="ketchup"
set ssl_starttls=no
set ssl_force_tls=no
set mbox_type=mbox
set confirmcreate=no
set confirmappend=no
set delete=no
set quit=yes
set imap_user="bob@hamburger.edu"
set header_cache=""
push "<copy-message>%s<enter><quit>"
`, s.Addr("imap"), copied)
	if err := os.WriteFile(filepath.Join(home, "rc"), []byte(rc), 0o600); err != nil {
		t.Fatal(err)
	}
	script := testpeer.Need(t, "script", "bsdutils") // neomutt wants a terminal
	out := command(t, home, "timeout", "60", script, "-qec", mutt+" -n -F "+filepath.Join(home, "rc"), "/dev/null")
	got, err := os.ReadFile(copied)
	if err != nil || !bytes.Contains(got, []byte("Subject: Picture of yummy crepe.")) {
		t.Errorf("neomutt saved no copy: %v\n%s", err, out)
	}
}

// TestMbsync copies the mailbox into a Maildir and new messages and flags of
// that Maildir back.
func TestMbsync(t *testing.T) {
	mbsync := testpeer.Need(t, "mbsync", "isync")
	curl := testpeer.Need(t, "curl", "curl")
	s := Start(t, plain(t, ""))
	send := func(file string) {
		command(t, t.TempDir(), curl, "-sS", "smtp://"+s.Addr("smtp"), "--mail-from", "alice@crepes.fr", "--mail-rcpt", "bob@hamburger.edu",
			"-T", filepath.Join(Root(t), "examples/messages", file))
	}
	send("crepe.eml")
	inMailbox(t, s, 1)
	home := t.TempDir()
	_, port := "", s.Port("imap")
	rc := fmt.Sprintf(`IMAPStore far
Host 127.0.0.1
Port %s
User bob@hamburger.edu
Pass ketchup
SSLType None
AuthMechs LOGIN

MaildirStore near
SubFolders Verbatim
Path %s/mail/
Inbox %s/mail/INBOX

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Expunge Both
SyncState *
`, port, home, home)
	if err := os.WriteFile(filepath.Join(home, "rc"), []byte(rc), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(home, "mail"), 0o700); err != nil {
		t.Fatal(err)
	}
	sync := func() { t.Helper(); command(t, home, mbsync, "-c", filepath.Join(home, "rc"), "-a") }
	sync()
	files, _ := filepath.Glob(filepath.Join(home, "mail/INBOX/*/*"))
	if len(files) != 1 {
		t.Fatalf("mbsync made %d files, want 1: %v", len(files), files)
	}
	near, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	far := strings.ReplaceAll(string(popRetrieve(t, s.Addr("pop3"), "bob@hamburger.edu", 1)), "\r\n", "\n")
	if got := withoutTUID(strings.ReplaceAll(string(near), "\r\n", "\n")); got != far {
		t.Errorf("the copy differs:\n%.600s\n---\n%.600s", got, far)
	}

	// A message and a folder of the near side go to the far side.
	for _, dir := range []string{"cur", "new", "tmp"} {
		if err := os.MkdirAll(filepath.Join(home, "mail/Recipes", dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	note := "From: bob@hamburger.edu\nSubject: pickles\n\nHow about pickles?\n"
	if err := os.WriteFile(filepath.Join(home, "mail/Recipes/cur/1.1.near:2,FS"), []byte(note), 0o600); err != nil {
		t.Fatal(err)
	}
	sync()
	got := command(t, home, curl, "-sS", "--user", "bob@hamburger.edu:ketchup", "imap://"+s.Addr("imap")+"/Recipes", "-X", "FETCH 1 (FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
	if !strings.Contains(got, `\Flagged`) || !strings.Contains(got, `\Seen`) {
		t.Errorf("flags were not copied back: %s", got)
	}

	// What is deleted on the far side goes on the near side.
	c := popLogin(t, s.Addr("pop3"), "bob@hamburger.edu")
	c.cmd("DELE 1")
	c.cmd("QUIT")
	c.Close()
	sync()
	if files, _ = filepath.Glob(filepath.Join(home, "mail/INBOX/*/*")); len(files) != 0 {
		t.Errorf("after deleting it far, near has %v", files)
	}
}

// withoutTUID drops the field that mbsync adds while it copies.
func withoutTUID(content string) string {
	var kept []string
	for line := range strings.SplitAfterSeq(content, "\n") {
		if !strings.HasPrefix(line, "X-TUID:") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "")
}

// TestSmtpSource pushes messages of 4 KB over 20 sessions with Postfix's load
// tool through the three stages, into a mailbox and through a relay, and finds
// each exactly once. Memory stays flat: what the server holds after the last
// batch is about what it held after the first. With WASMTA_LONG set it is
// 10,000 messages each way, otherwise 2,000.
func TestSmtpSource(t *testing.T) {
	source := testpeer.Need(t, "smtp-source", "postfix")
	const batches = 5
	n := 400
	if os.Getenv("WASMTA_LONG") != "" {
		n = 2000
	}
	next := startSink(t)
	s := Start(t, hamburger(fmt.Sprintf("relay: {allow: [127.0.0.0/8], routes: {\"*\": \"smtp://%s\"}}\n", next.addr)))
	relayed := func() (total int) {
		for _, n := range next.counts() {
			total += n
		}
		return total
	}
	var resident []int
	for batch := 1; batch <= batches; batch++ {
		for _, to := range []string{"bob@hamburger.edu", "carol@relay.example"} {
			command(t, t.TempDir(), source, "-s", "20", "-m", fmt.Sprint(n), "-l", "4096", "-f", "alice@crepes.fr", "-t", to, "inet:"+s.Addr("smtp"))
		}
		await(t, "the batch", func() bool { return len(bobsFiles(t, s)) >= batch*n && relayed() >= batch*n })
		resident = append(resident, residentKiB(t, s.Pid()))
	}
	if got := len(bobsFiles(t, s)); got != batches*n {
		t.Errorf("%d messages in the mailbox, want %d", got, batches*n)
	}
	if got := relayed(); got != batches*n {
		t.Errorf("%d messages at the next hop, want %d", got, batches*n)
	}
	t.Logf("resident after each batch of %d and %d: %v KiB", n, n, resident)
	const slack = 48 << 10 // KiB: what the garbage collector may leave lying about
	if last, first := resident[batches-1], resident[0]; last > first+slack {
		t.Errorf("memory grows: %d KiB after the first batch, %d KiB after the last", first, last)
	}
}

func bobsFiles(t testing.TB, s *Server) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(s.Dir, "var/mail/bob@hamburger.edu/[nc]*/*"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// residentKiB is the memory that a process has in use.
func residentKiB(t testing.TB, pid int) (kib int) {
	t.Helper()
	if _, err := fmt.Sscanf(status(t, pid, "VmRSS"), "%d", &kib); err != nil {
		t.Fatalf("no VmRSS of process %d: %v", pid, err)
	}
	return kib
}

// status is a line of /proc/PID/status.
func status(t testing.TB, pid int, key string) string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return ""
	}
	for line := range strings.SplitSeq(string(text), "\n") {
		if rest, ok := strings.CutPrefix(line, key+":"); ok {
			return rest
		}
	}
	return ""
}
