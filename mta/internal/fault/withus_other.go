//go:build !linux

package fault

import "syscall"

// withUs has a process end when this one does, where the system can do that.
var withUs *syscall.SysProcAttr
