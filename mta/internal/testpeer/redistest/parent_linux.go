package redistest

import "syscall"

// withParent has the kernel end a server with the program that started it, even
// when that panics or is killed.
func withParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
