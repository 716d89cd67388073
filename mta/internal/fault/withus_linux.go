package fault

import "syscall"

// withUs has a process end when this one does, however that comes.
var withUs = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
