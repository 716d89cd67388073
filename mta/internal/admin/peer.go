package admin

import (
	"context"
	"net"
	"os/user"
	"strconv"
)

type peerKey struct{}

// withOperator is ctx with the name of who sent the request.
func withOperator(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, peerKey{}, name)
}

// withPeer remembers for the log who is at the other end of a socket. The
// context is where net/http keeps what a connection knows.
func withPeer(ctx context.Context, conn net.Conn) context.Context {
	uid, ok := peerUID(conn)
	if !ok {
		return ctx
	}
	name := "uid " + strconv.Itoa(uid)
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		name = u.Username
	}
	return withOperator(ctx, name)
}

// who is the operator who sent a request: the user at the other end of the
// socket, or the name of the token, as far as it is known.
func who(ctx context.Context) string {
	if name, ok := ctx.Value(peerKey{}).(string); ok {
		return name
	}
	return "operator"
}
