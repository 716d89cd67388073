// Package testpeer finds the real programs that tests talk to (swaks, mbsync,
// postfix, mutt, curl) and that plugins are built with (compilers, script
// runtimes), and installs those that are missing, so that one command runs
// every test on a fresh machine.
package testpeer

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// mu guards installs within one test binary; a file lock guards them between
// the binaries that `go test` runs at once.
var mu sync.Mutex

// Need returns the path of program. When it is missing, it installs the Debian
// package pkg and says so. Where that cannot be done (no root, no apt-get) the
// test is skipped with the reason; with CI set in the environment it fails.
func Need(t testing.TB, program, pkg string) string {
	t.Helper()
	if path, err := lookPath(program); err == nil {
		return path
	}
	if err := install(t, pkg); err != nil {
		give := t.Skipf
		if os.Getenv("CI") != "" {
			give = t.Fatalf
		}
		give("%s is not installed (Debian package %s): %v", program, pkg, err)
	}
	path, err := lookPath(program)
	if err != nil {
		t.Fatalf("%s is still missing after installing %s", program, pkg)
	}
	return path
}

// NeedFile is Need for a file, such as a module of an interpreter.
func NeedFile(t testing.TB, path, pkg string) {
	t.Helper()
	if _, err := os.Stat(path); err == nil {
		return
	}
	if err := install(t, pkg); err != nil {
		give := t.Skipf
		if os.Getenv("CI") != "" {
			give = t.Fatalf
		}
		give("%s is not there (Debian package %s): %v", path, pkg, err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("after installing %s: %v", pkg, err)
	}
}

// lookPath also looks where Debian puts programs for administrators.
func lookPath(program string) (string, error) {
	if path, err := exec.LookPath(program); err == nil {
		return path, nil
	}
	for _, dir := range []string{"/usr/sbin", "/sbin", "/usr/local/sbin"} {
		if path, err := exec.LookPath(filepath.Join(dir, program)); err == nil {
			return path, nil
		}
	}
	return "", exec.ErrNotFound
}

func install(t testing.TB, pkg string) error {
	t.Helper()
	if os.Geteuid() != 0 {
		return fmt.Errorf("installing it needs root: apt-get install %s", pkg)
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		return fmt.Errorf("this system has no apt-get: install %s by hand", pkg)
	}
	mu.Lock()
	defer mu.Unlock()
	unlock, err := lockFile(filepath.Join(os.TempDir(), "wasmta-testpeer.lock"))
	if err != nil {
		return err
	}
	defer unlock()
	fmt.Fprintf(os.Stderr, "testpeer: installing the Debian package %s for %s\n", pkg, t.Name())
	restore, err := forbidServices()
	if err != nil {
		return err
	}
	defer restore()
	args := []string{"install", "-y", "-q", "--no-install-recommends", pkg}
	if apt(args) == nil {
		return nil
	}
	if err := apt([]string{"update", "-q"}); err != nil {
		return err
	}
	return apt(args)
}

func apt(args []string) error {
	cmd := exec.Command("apt-get", args...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	if out, err := cmd.CombinedOutput(); err != nil {
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		return fmt.Errorf("apt-get %s: %w: %s", strings.Join(args, " "), err, lines[len(lines)-1])
	}
	return nil
}

// forbidServices keeps a package from starting a daemon when it is installed
// (Debian's policy-rc.d). A policy that is already there is left alone.
func forbidServices() (restore func(), err error) {
	const policy = "/usr/sbin/policy-rc.d"
	if _, err := os.Stat(policy); err == nil {
		return func() {}, nil
	}
	if err := os.WriteFile(policy, []byte("#!/bin/sh\nexit 101\n"), 0o755); err != nil {
		return nil, err
	}
	return func() { os.Remove(policy) }, nil
}

func lockFile(name string) (unlock func(), err error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		f.Close()
		return nil, err
	}
	return func() { f.Close() }, nil
}
