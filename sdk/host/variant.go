package host

import "github.com/wasmta/wasmta/sdk/abi"

// VariantNew is variant_new: the recipients of these IDs get a message of their
// own, which begins as what is selected is now. The result names the variant,
// above zero. It is not selected. A recipient is in one variant at most.
func (c *Call) VariantNew(ids []int32) int32 {
	m, e := c.content(abi.AccessVariant)
	if e != abi.OK {
		return int32(e)
	}
	if len(ids) == 0 {
		return int32(abi.BadArg)
	}
	for _, id := range ids {
		r, e := c.rcpt(id)
		if e != abi.OK {
			return int32(e)
		}
		if r.variant != 0 {
			return int32(abi.BadArg)
		}
	}
	if len(c.variants) >= c.limits.Variants {
		return int32(abi.Limit)
	}
	fork, e := m.Fork()
	if e != abi.OK {
		return int32(e)
	}
	c.variants = append(c.variants, fork)
	for _, id := range ids {
		c.rcpts[id-1].variant = int32(len(c.variants))
	}
	c.rcptsSet = true
	return int32(len(c.variants))
}

// VariantSelect is variant_select: what the functions for header fields, parts
// and the message work on from here on. Zero is the message of all who are in
// no variant.
func (c *Call) VariantSelect(variant int32) abi.Errno {
	if e := c.may(abi.AccessVariant); e != abi.OK {
		return e
	}
	if variant < 0 || int(variant) > len(c.variants) {
		return abi.NotFound
	}
	c.selected = variant
	return abi.OK
}

// split puts the recipients where they belong. If all of them are in variants
// the first variant takes the place of the message that nobody gets.
func (c *Call) split(ch *Changes) {
	groups := make([][]Recipient, len(c.variants)+1)
	groups[0] = make([]Recipient, 0, len(c.rcpts))
	for i := range c.rcpts {
		if r := &c.rcpts[i]; !r.removed {
			groups[r.variant] = append(groups[r.variant], r.Recipient)
		}
	}
	ch.Recipients = groups[0]
	for i, m := range c.variants {
		switch rcpts := groups[i+1]; {
		case len(rcpts) == 0: // all of them were removed
		case len(ch.Recipients) == 0:
			ch.Message, ch.Edited, ch.Recipients = m, true, rcpts
		default:
			ch.Variants = append(ch.Variants, Variant{Message: m, Recipients: rcpts})
		}
	}
}
