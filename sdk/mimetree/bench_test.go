package mimetree

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
)

// ordinary is a message of about that many octets: a header section as mail
// has it after a few servers, text, HTML and an attachment.
func ordinary(size int) []byte {
	var b strings.Builder
	for i := range 4 {
		fmt.Fprintf(&b, "Received: from mx%d.example.net (mx%d.example.net [192.0.2.%d])\r\n\tby mail.example.org with ESMTPS"+
			" id 01K5TEST0000000%d\r\n\tfor <bob@hamburger.edu>; Tue, 24 Nov 2026 10:00:00 +0000\r\n", i, i, i, i)
	}
	b.WriteString("From: Alice <alice@crepes.fr>\r\nTo: bob@hamburger.edu\r\nSubject: The picture\r\nDate: Tue, 24 Nov 2026 10:00:00 +0000\r\n" +
		"Message-ID: <1@crepes.fr>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"outer\"\r\n\r\n" +
		"--outer\r\nContent-Type: multipart/alternative; boundary=\"inner\"\r\n\r\n" +
		"--inner\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nHello Bob\r\n" +
		"--inner\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>Hello Bob</p>\r\n--inner--\r\n" +
		"--outer\r\nContent-Type: image/jpeg\r\nContent-Transfer-Encoding: base64\r\n\r\n")
	for b.Len() < size-12 {
		b.WriteString(strings.Repeat("QUJD", 19) + "\r\n")
	}
	b.WriteString("--outer--\r\n")
	return []byte(b.String())
}

func BenchmarkField(b *testing.B) {
	src := ordinary(4 << 10)
	b.ReportAllocs()
	for b.Loop() {
		t := Parse(bytes.NewReader(src), Limits{})
		if err := t.InsertField(Root, Top, "X-Spam-Status", "No, score=0.1"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParts(b *testing.B) {
	for _, size := range []int{4 << 10, 1 << 20} {
		src := ordinary(size)
		b.Run(fmt.Sprint(size>>10, "KiB"), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(src)))
			for b.Loop() {
				t := Parse(bytes.NewReader(src), Limits{})
				n := 0
				id, err := Root, error(nil)
				for ; err == nil; id, err = t.After(id) {
					if _, err := t.Info(id); err != nil {
						b.Fatal(err)
					}
					n++
				}
				if n != 5 {
					b.Fatal(n)
				}
			}
		})
	}
}

func BenchmarkCopy(b *testing.B) {
	for _, size := range []int{4 << 10, 1 << 20} {
		src := ordinary(size)
		b.Run(fmt.Sprint(size>>10, "KiB"), func(b *testing.B) {
			t := Parse(bytes.NewReader(src), Limits{})
			if err := t.InsertField(Root, Top, "X-Spam-Status", "No, score=0.1"); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			b.SetBytes(t.Size())
			for b.Loop() {
				r, _ := t.Open()
				if _, err := io.Copy(io.Discard, struct{ io.Reader }{r}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	src := ordinary(4 << 20)
	t := Parse(bytes.NewReader(src), Limits{})
	id, err := t.Find("image/*", Root)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.SetBytes(int64(len(src)))
	for b.Loop() {
		r, _ := t.OpenPart(id, Content)
		if _, err := io.Copy(io.Discard, r); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkTo7Bit(b *testing.B) {
	src := bytes.Replace(ordinary(64<<10), []byte("Hello Bob"), []byte("Crêpes, Bob"), -1)
	b.ReportAllocs()
	b.SetBytes(int64(len(src)))
	for b.Loop() {
		if _, _, err := To7Bit(Parse(bytes.NewReader(src), Limits{})); err != nil {
			b.Fatal(err)
		}
	}
}
