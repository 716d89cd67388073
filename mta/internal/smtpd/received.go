package smtpd

import (
	"time"

	"github.com/wasmta/wasmta/mta/internal/smtp"
)

// trace appends the Received: field of the open transaction.
func (s *session) trace(dst []byte) []byte {
	return smtp.AppendReceived(dst, s.tx, s.srv.Hostname, time.Now())
}
