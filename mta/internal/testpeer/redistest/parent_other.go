//go:build !linux

package redistest

import "syscall"

// withParent: there is no such thing here, and Close has to be called.
func withParent() *syscall.SysProcAttr { return nil }
