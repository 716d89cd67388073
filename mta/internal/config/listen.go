package config

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
)

// CheckListen binds every address of the file and lets go of it again. It is
// for a server that is not running yet: one that runs has them itself.
func (c *Config) CheckListen(ctx context.Context) Findings {
	var found Findings
	for _, l := range c.Listen.All() {
		for i, a := range l.Addresses {
			if err := bind(ctx, a); err != nil {
				what, cure := explainBind(a, err)
				found = append(found, c.Finding(l.Path(i), what, cure))
			}
		}
	}
	found.sort()
	return found
}

func bind(ctx context.Context, a Address) error {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", a.String())
	if err != nil {
		return err
	}
	return l.Close()
}

// ExplainListen is the finding for an address that could not be bound.
func (c *Config) ExplainListen(l Listener, i int, err error) Finding {
	what, cure := explainBind(l.Addresses[i], err)
	return c.Finding(l.Path(i), what, cure)
}

func explainBind(a Address, err error) (what, cure string) {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Sprintf("%s is taken", a), "stop what listens there, or choose another port"
	case errors.Is(err, os.ErrPermission):
		return fmt.Sprintf("%s is not allowed to this user", a), "choose a port above 1023, or give the program the right to bind (cap_net_bind_service)"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Sprintf("%s is not an address of this machine", a), "write one that it has, or leave the host out for all of them"
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		err = op.Err
	}
	return fmt.Sprintf("%s cannot be bound: %v", a, err), "choose another address"
}
