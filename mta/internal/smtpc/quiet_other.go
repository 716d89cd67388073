//go:build !unix

package smtpc

import "net"

// quiet cannot be known here; a dead connection shows itself at MAIL.
func quiet(net.Conn) bool { return true }
