package host

import "github.com/wasmta/wasmta/sdk/abi"

// SenderGet is sender_get: the reverse-path, empty for the null one.
func (c *Call) SenderGet() (string, abi.Errno) {
	if e := c.may(abi.AccessEnvelope); e != abi.OK {
		return "", e
	}
	return c.sender, abi.OK
}

// SenderSet is sender_set; the empty address is the null path.
func (c *Call) SenderSet(address string) abi.Errno {
	if e := c.may(abi.AccessSetSender); e != abi.OK {
		return e
	}
	if address != "" {
		var e abi.Errno
		if address, e = c.path(address); e != abi.OK {
			return e
		}
	}
	c.sender, c.senderSet = address, true
	return abi.OK
}

func (c *Call) path(address string) (string, abi.Errno) {
	if address == "" || hasControl(address) {
		return "", abi.BadArg
	}
	p, err := c.in.Path(address)
	if err != nil || p == "" {
		return "", abi.BadArg
	}
	return p, abi.OK
}

// RcptCount is rcpt_count.
func (c *Call) RcptCount() int32 {
	if e := c.may(abi.AccessEnvelope); e != abi.OK {
		return int32(e)
	}
	n := int32(0)
	for i := range c.rcpts {
		if !c.rcpts[i].removed {
			n++
		}
	}
	return n
}

// RcptAt is rcpt_at: the ID of the recipient at that place among those that
// are left. IDs are above zero, and name the same recipient all through a call.
func (c *Call) RcptAt(index int32) int32 {
	if e := c.may(abi.AccessEnvelope); e != abi.OK {
		return int32(e)
	}
	n := int32(0)
	for i := range c.rcpts {
		if c.rcpts[i].removed {
			continue
		}
		if n == index {
			return int32(i + 1)
		}
		n++
	}
	return int32(abi.NotFound)
}

// RcptAdd is rcpt_add. An address that is there already keeps its ID; a new
// recipient is in the variant that is selected.
func (c *Call) RcptAdd(address string) int32 {
	if e := c.may(abi.AccessSetRcpts); e != abi.OK {
		return int32(e)
	}
	address, e := c.path(address)
	if e != abi.OK {
		return int32(e)
	}
	for i := range c.rcpts {
		if !c.rcpts[i].removed && sameAddress(c.rcpts[i].Address, address) {
			return int32(i + 1)
		}
	}
	if c.rcptsAdded >= c.limits.RecipientsAdded {
		return int32(abi.Limit)
	}
	c.rcptsAdded++
	c.rcptsSet = true
	c.rcpts = append(c.rcpts, recipient{
		Recipient: Recipient{Address: address, Original: address, Origin: -1}, variant: c.selected,
	})
	return int32(len(c.rcpts))
}

// RcptSet is rcpt_set: mail for this recipient goes to another address. What
// RCPT said of it stays.
func (c *Call) RcptSet(id int32, address string) abi.Errno {
	r, e := c.change(id, abi.AccessSetRcpt)
	if e != abi.OK {
		return e
	}
	if address, e = c.path(address); e != abi.OK {
		return e
	}
	r.Address, c.rcptsSet = address, true
	return abi.OK
}

// RcptRemove is rcpt_remove.
func (c *Call) RcptRemove(id int32) abi.Errno {
	r, e := c.change(id, abi.AccessSetRcpts)
	if e != abi.OK {
		return e
	}
	r.removed, c.rcptsSet = true, true
	return abi.OK
}

// RcptGet is rcpt_get. What only the queue knows is empty before.
func (c *Call) RcptGet(id, field int32) (string, abi.Errno) {
	if e := c.may(abi.AccessEnvelope); e != abi.OK {
		return "", e
	}
	r, e := c.rcpt(id)
	if e != abi.OK {
		return "", e
	}
	switch field {
	case abi.RcptAddress:
		return r.Address, abi.OK
	case abi.RcptOriginal:
		return r.Original, abi.OK
	case abi.RcptORCPT:
		return r.ORCPT, abi.OK
	case abi.RcptNotify:
		return r.Notify, abi.OK
	case abi.RcptResolved:
		return r.Resolved, abi.OK
	case abi.RcptStatus:
		return r.Status, abi.OK
	case abi.RcptReply:
		return r.LastReply, abi.OK
	}
	return "", abi.BadArg
}

func (c *Call) rcpt(id int32) (*recipient, abi.Errno) {
	if id < 1 || int(id) > len(c.rcpts) || c.rcpts[id-1].removed {
		return nil, abi.NotFound
	}
	return &c.rcpts[id-1], abi.OK
}

// change is the recipient of that ID, if the plugin may do that with it. In
// on_rcpt that is the last one alone: the others had their reply.
func (c *Call) change(id int32, a abi.Access) (*recipient, abi.Errno) {
	if e := c.may(a); e != abi.OK {
		return nil, e
	}
	r, e := c.rcpt(id)
	if e == abi.OK && c.in.Hook == abi.HookRcpt && int(id) != len(c.rcpts) {
		return nil, abi.WrongStage
	}
	return r, e
}

// each calls f for the recipient of that ID, or for all that the plugin may do
// that with.
func (c *Call) each(id int32, a abi.Access, f func(*Recipient)) abi.Errno {
	if id != abi.AllRecipients {
		r, e := c.change(id, a)
		if e == abi.OK {
			f(&r.Recipient)
			c.rcptsSet = true
		}
		return e
	}
	if e := c.may(a); e != abi.OK {
		return e
	}
	for i := range c.rcpts {
		if r, e := c.change(int32(i+1), a); e == abi.OK {
			f(&r.Recipient)
			c.rcptsSet = true
		}
	}
	return abi.OK
}
