package mimetree_test

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/wasmta/wasmta/sdk/mimetree"
)

const message = `Subject: Hello
MIME-Version: 1.0
Content-Type: text/plain; charset=iso-8859-1
Content-Transfer-Encoding: quoted-printable

=43r=EApes
`

// A footer goes below a text; what else is in the message stays as it came.
func Example() {
	t := mimetree.Parse(strings.NewReader(message), mimetree.Limits{})
	id, err := t.Find("text/plain", mimetree.Root)
	if err != nil {
		fmt.Println(err)
		return
	}
	r, err := t.OpenPart(id, mimetree.Text)
	if err != nil {
		fmt.Println(err)
		return
	}
	text, err := io.ReadAll(r)
	if err != nil {
		fmt.Println(err)
		return
	}
	mark := t.Mark()
	if err := t.ReplaceText(id, string(text)+"--\nUniversité Hamburger\n"); err != nil {
		t.Rollback(mark) // as if nothing had been done
	}
	content, err := t.OpenPart(mimetree.Root, mimetree.Entity)
	if err != nil {
		fmt.Println(err)
		return
	}
	io.Copy(os.Stdout, content)
	// Output:
	// Subject: Hello
	// MIME-Version: 1.0
	// Content-Type: text/plain; charset=iso-8859-1
	// Content-Transfer-Encoding: quoted-printable
	//
	// =43r=EApes
	// --
	// Universit=E9 Hamburger
}
