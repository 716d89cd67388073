package dsn

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/testpeer"
)

// readBy has another program read all goldens. It returns the lines that the
// program prints of each, without the name.
func readBy(t *testing.T, program ...string) map[string][]string {
	t.Helper()
	dir := t.TempDir()
	names := map[string]string{}
	for name, g := range goldens() {
		_, octets := compose(t, g.report)
		file := filepath.Join(dir, name)
		names[file] = name
		if err := os.WriteFile(file, octets, 0o600); err != nil {
			t.Fatal(err)
		}
		program = append(program, file)
	}
	out, err := exec.CommandContext(t.Context(), program[0], program[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	said := map[string][]string{}
	for line := range strings.Lines(string(out)) {
		file, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		name, ok := names[file]
		if !ok && rest != "" {
			t.Errorf("it says %q", line)
		}
		said[name] = append(said[name], rest)
	}
	return said
}

func (g golden) failed(of action) (addresses []string) {
	for _, s := range g.says {
		if words := strings.SplitN(s, " ", 3); words[0] == string(of) {
			addresses = append(addresses, words[2])
		}
	}
	slices.Sort(addresses)
	return addresses
}

// TestReadByPython has the email package find what each notification says of
// each recipient, and flufl.bounce whom it may bounce.
func TestReadByPython(t *testing.T) {
	const python = "/usr/bin/python3" // Debian's, which has Debian's modules
	testpeer.NeedFile(t, python, "python3")
	testpeer.NeedFile(t, "/usr/lib/python3/dist-packages/flufl/bounce/__init__.py", "python3-flufl.bounce")
	said := readBy(t, python, "testdata/read.py")
	for name, g := range goldens() {
		var want []string
		for _, s := range g.says {
			want = append(want, "email "+s)
		}
		got := said[name]
		if strings.Contains(strings.Join(g.says, ""), "ü") { // flufl.bounce knows no RFC 6533
			got = slices.DeleteFunc(got, func(s string) bool { return strings.HasPrefix(s, "flufl") })
		} else {
			for _, a := range []action{failed, delayed} {
				for _, address := range g.failed(a) {
					if o := g.report.Recipients[0].ORCPT; o != "" { // it takes what the sender wrote
						_, address, _ = strings.Cut(o, ";")
					}
					want = append(want, "flufl "+string(a)+" "+address)
				}
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s:\n got %q\nwant %q", name, got, want)
		}
	}
}

// TestReadByPerl has Mail::DeliveryStatus::BounceParser tell bounces from what
// is none, and find who failed and why.
func TestReadByPerl(t *testing.T) {
	perl := testpeer.Need(t, "perl", "perl")
	testpeer.NeedFile(t, "/usr/share/perl5/Mail/DeliveryStatus/BounceParser.pm", "libmail-deliverystatus-bounceparser-perl")
	said := readBy(t, perl, "testdata/read.pl")
	for name, g := range goldens() {
		if name == "utf8" { // it does not know message/global-delivery-status
			continue
		}
		want := []string{"bounce no <1@crepes.fr>"}
		if len(g.failed(failed)) == len(g.says) { // one other action, and it takes none for a bounce
			want[0] = "bounce yes <1@crepes.fr>"
		}
		if name == "encoded" { // nor message/global
			want[0] = "bounce yes"
		}
		for _, s := range g.says {
			if strings.HasPrefix(s, string(failed)) {
				want = append(want, "report "+asPerlSees(g, s))
			}
		}
		if !slices.Equal(said[name], want) {
			t.Errorf("%s:\n got %q\nwant %q", name, said[name], want)
		}
	}
}

// asPerlSees is what is said of a recipient to a reader who takes the first
// address there is, and leaves the escapes of RFC 6533 as they are.
func asPerlSees(g golden, said string) string {
	words := strings.SplitN(said, " ", 3)
	if o := g.report.Recipients[0].ORCPT; o != "" {
		_, words[2], _ = strings.Cut(o, ";")
	}
	if mail.HasUTF8(words[2]) {
		words[2] = unitext(words[2], false)
	}
	return strings.Join(words, " ")
}
