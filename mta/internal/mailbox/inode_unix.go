//go:build unix

package mailbox

import (
	"os"
	"syscall"
)

// inodeOf tells one folder from another of the same name.
func inodeOf(info os.FileInfo) uint64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(st.Ino)
	}
	return 0
}
