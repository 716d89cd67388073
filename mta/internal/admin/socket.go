package admin

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// SocketName is the socket's name in the state folder.
const SocketName = "admin.sock"

// maxSocketPath is what every system takes for the path of a socket (sun_path
// has 104 octets at least, one of them a NUL).
const maxSocketPath = 103

// probeTimeout is how long a server that is there has to take a connection.
const probeTimeout = time.Second

// ListenSocket listens on the socket in the state folder, which only this user
// can open. What a server that died left behind is replaced; one that lives is
// an error. Closing the listener removes the socket.
func ListenSocket(state string) (net.Listener, error) {
	path := filepath.Join(state, SocketName)
	if conn, err := dialSocket(path, probeTimeout); err == nil {
		conn.Close()
		return nil, fmt.Errorf("another server is running on state %s (%s answers)", state, path)
	} else if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ECONNREFUSED) {
		return nil, fmt.Errorf("look at %s: %w", path, err)
	}
	l, err := listenPrivate(state, path)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	return l, nil
}

// listenPrivate makes the socket in a folder that nobody else can enter, and
// moves it to path once its mode is set: there is no moment at which others
// could connect.
func listenPrivate(state, path string) (net.Listener, error) {
	dir, err := os.MkdirTemp(state, ".admin")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	short, done, err := shorten(filepath.Join(dir, SocketName))
	if err != nil {
		return nil, err
	}
	defer done()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: short, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false)
	made := filepath.Join(dir, SocketName)
	if err := errors.Join(os.Chmod(made, 0o600), os.Rename(made, path)); err != nil {
		l.Close()
		return nil, err
	}
	return &socketListener{l, path}, nil
}

// A socketListener removes its socket when it is closed.
type socketListener struct {
	net.Listener
	path string
}

// Close implements [net.Listener].
func (l *socketListener) Close() error {
	err := l.Listener.Close()
	if errors.Is(err, net.ErrClosed) {
		return err // and the path may be another server's by now
	}
	return errors.Join(err, os.Remove(l.path))
}

func dialSocket(path string, timeout time.Duration) (net.Conn, error) {
	short, done, err := shorten(path)
	if err != nil {
		return nil, err
	}
	defer done()
	return net.DialTimeout("unix", short, timeout)
}

// shorten returns another path of the same socket if path is too long for one:
// by way of the open folder, where the system has /proc. done releases it.
func shorten(path string) (short string, done func(), err error) {
	if len(path) <= maxSocketPath {
		return path, func() {}, nil
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return "", nil, err
	}
	short = filepath.Join("/proc/self/fd", strconv.Itoa(int(dir.Fd())), filepath.Base(path))
	if _, err := os.Stat(filepath.Dir(short)); err != nil || len(short) > maxSocketPath {
		dir.Close()
		return "", nil, fmt.Errorf("path of %d octets is too long for a socket; choose a shorter state folder", len(path))
	}
	return short, func() { dir.Close() }, nil
}
