// Command program is a WASI program that does what its configuration says: as a
// command, or with the argument loop as a loop.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

type config struct {
	Do   string `json:"do"`
	Code int    `json:"code"`
	Text string `json:"text"`
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "loop" {
		loop()
		return
	}
	var c config
	if err := json.Unmarshal([]byte(os.Getenv("MTA_CONFIG")), &c); err != nil {
		panic(err)
	}
	command(c)
}

// command does what c says to the message on stdin.
func command(c config) {
	message, err := io.ReadAll(os.Stdin)
	if err != nil {
		panic(err)
	}
	switch c.Do {
	case "field":
		fmt.Printf("X-Text: %s\nX-Long: one\n\ttwo\n", c.Text)
	case "environment":
		for _, name := range []string{"MTA_STAGE", "SENDER", "RECIPIENTS", "CLIENT_IP", "HELO", "AUTH_USER", "QUEUE_ID", "OF_BUNDLE"} {
			fmt.Printf("X-%s: %s\n", strings.ReplaceAll(name, "_", "-"), strings.ReplaceAll(os.Getenv(name), "\n", " "))
		}
		fmt.Printf("X-Args: %s\nX-Context: %t\n", strings.Join(os.Args, " "), json.Valid([]byte(os.Getenv("MTA_CTX"))))
	case "same":
		os.Stdout.Write(message)
	case "lf":
		os.Stdout.Write(bytes.ReplaceAll(message, []byte("\r\n"), []byte("\n")))
		fmt.Println("one more line")
	case "flood":
		for {
			os.Stdout.Write(message)
		}
	case "scream":
		for {
			os.Stderr.Write(message)
		}
	case "spin":
		for {
		}
	case "read":
		for _, name := range []string{"/plugin/words.txt", "/f/file", "/etc/passwd", "/f/../../etc/passwd", "/f/link"} {
			b, err := os.ReadFile(name)
			fmt.Printf("X-Read: %s %q %t\n", name, b, err == nil)
		}
		err := os.WriteFile("/plugin/words.txt", []byte("x"), 0o600)
		err2 := os.WriteFile("/f/new", []byte("x"), 0o600)
		fmt.Printf("X-Write: %t %t\n", err == nil, err2 == nil)
	}
	if c.Text != "" && c.Do == "exit" {
		fmt.Fprintln(os.Stderr, c.Text)
	}
	os.Exit(c.Code)
}

var (
	in  = bufio.NewReader(os.Stdin)
	out = bufio.NewWriter(os.Stdout)
)

// read reads a frame.
func read(v any) (octets []byte) {
	var j, o int
	if _, err := fmt.Fscanf(in, "%d %d\n", &j, &o); err != nil {
		panic(err)
	}
	b := make([]byte, j+o)
	if _, err := io.ReadFull(in, b); err != nil {
		panic(err)
	}
	if err := json.Unmarshal(b[:j], v); err != nil {
		panic(err)
	}
	return b[j:]
}

// write writes a frame.
func write(v any, octets []byte) {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	fmt.Fprintf(out, "%d %d\n%s%s", len(b), len(octets), b, octets)
	out.Flush()
}

type object = map[string]any

// call calls a function of the ABI.
func call(octets []byte, name string, args ...any) (result, value int64, got []byte) {
	write(object{"call": name, "args": args}, octets)
	var r struct{ Result, Value int64 }
	got = read(&r)
	return r.Result, r.Value, got
}

var served int // messages

func loop() {
	var c config
	read(&struct{ Config *config }{&c})
	switch c.Do {
	case "refuse":
		write(object{"refuse": c.Text}, nil)
	case "hooks":
		write(object{"hooks": []string{"on_message", "on_rcpt", "on_message"}, "message": false}, nil)
	case "bad hook":
		write(object{"hooks": []string{"on_tuesday"}}, nil)
	case "say nothing":
	default:
		write(object{}, nil)
	}
	for {
		var f struct {
			Hook       string
			Sender     string
			Recipients []string
			Context    object
		}
		message := read(&f)
		served++
		serve(c, f.Hook, f.Sender, message)
	}
}

func serve(c config, hook, sender string, message []byte) {
	switch c.Do {
	case "reject":
		write(object{"verdict": "reject", "reply": object{"code": 550, "enhanced": "5.7.1", "text": c.Text}}, nil)
	case "replace":
		write(object{}, append([]byte("X-Served: "+fmt.Sprint(served)+"\r\n"), message...))
	case "hooks":
		call(nil, "note_set", 1, "asked", fmt.Sprintf("%s with %d octets", hook, len(message)))
		write(object{"verdict": "continue"}, nil)
	case "calls":
		calls(sender)
	case "raw":
		out.WriteString(c.Text)
		out.Flush()
	case "exit":
		os.Exit(c.Code)
	case "spin":
		for {
		}
	case "sleep":
		time.Sleep(time.Hour)
	case "twice":
		write(object{}, nil)
		write(object{}, nil)
	case "say nothing", "quiet":
	default:
		write(object{"error": "does not know " + c.Do}, nil)
	}
}

// calls calls functions of each kind, and puts what they gave into fields.
func calls(sender string) {
	n, _, value := call(nil, "hdr_value", 0, 3, 2, 100)
	if n < 0 {
		n, _, value = call(nil, "hdr_value", 0, 0, 2, 100)
	}
	small, _, none := call(nil, "sender_get", 2)
	size, _, _ := call(nil, "msg_size")
	some, _, text := call(nil, "part_read", 0, 2, 5, 3)
	blob, _, _ := call(nil, "blob_new")
	wrote, _, _ := call([]byte("new body\r\n"), "blob_write", blob, nil)
	replaced, _, _ := call(nil, "part_replace", 0, "text/plain; charset=utf-8", blob)
	random, _, octets := call(nil, "random", 16)
	unknown, _, _ := call(nil, "teleport")
	refused, _, _ := call(nil, "kv_add", "key", 1, 0)
	call(nil, "hdr_insert", 0, 0, "X-Calls", fmt.Sprint(n, " ", string(value), " ", small, " ", len(none), " ", size, " ", some, " ", string(text),
		" ", blob, wrote, replaced, " ", random, " ", len(octets), " ", unknown, refused, " ", sender))
	write(object{}, nil)
}
