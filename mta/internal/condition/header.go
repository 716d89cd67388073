package condition

import (
	"errors"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/sdk/mimetree"
)

// header is the first field of that name, unfolded and decoded; empty if there
// is none.
func header(tx *mail.Transaction, name string) (string, error) {
	tree, err := parsed(tx)
	if tree == nil || err != nil {
		return "", err
	}
	i, err := tree.FindField(mimetree.Root, name, 0)
	if errors.Is(err, mimetree.ErrNotFound) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	value, err := tree.FieldValue(mimetree.Root, i, mimetree.Decoded)
	return string(value), err
}

// parsed is the message as a tree, which stays in tx for the next who asks; nil
// if there is no message.
func parsed(tx *mail.Transaction) (*mimetree.Tree, error) {
	switch c := tx.Content.(type) {
	case nil:
		return nil, nil
	case *mimetree.Tree:
		return c, nil
	case mail.Octets:
		tree := mimetree.Parse(c, mimetree.Limits{})
		tx.Content = tree
		return tree, nil
	default:
		b, err := mail.ReadAll(c)
		if err != nil {
			return nil, err
		}
		tree := mimetree.Parse(mail.Bytes(b), mimetree.Limits{})
		tx.Content = tree
		return tree, nil
	}
}
