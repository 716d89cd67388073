package daemon

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/wasmta/wasmta/mta/internal/config"
	"github.com/wasmta/wasmta/mta/internal/testpeer/redistest"
)

// What is wrong with the URL of a Redis is said with its place, and without the
// password in it.
func TestWrongURLsOfRedisKeepTheirPassword(t *testing.T) {
	for url, want := range map[string]string{
		"redis://u:hunter2@127.0.0.1:port/0":      "no host with a port",
		"redis://u:hunter2@127.0.0.1:1/x":         "no number of a database",
		"rediss://u:hunter2@127.0.0.1:1/0?foo=1":  "unknown parameter",
		"redis+cluster://u:hunter2@127.0.0.1:1/3": "database 0 only",
		"unix://u:hunter2@?db=0":                  "full path of the socket",
		"http://u:hunter2@127.0.0.1/":             "does not begin with redis:",
		"redis://u:hunter2%zz@127.0.0.1:1/0":      "write %25",
	} {
		t.Run(want, func(t *testing.T) {
			cfg := moveConfig(t, "spool")
			cfg.Queue.Store = config.Secret(url)
			store, err := openRedis(cfg, slog.New(slog.DiscardHandler), nil, nil)
			if err == nil {
				store.Close()
				t.Fatal("not refused")
			}
			if text := err.Error(); !strings.Contains(text, want) || !strings.Contains(text, "pipeline.yaml:3:") || strings.Contains(text, "hunter2") {
				t.Errorf("%s: refused with %q, want %q, and no password", url, text, want)
			}
		})
	}
}

// A Redis that refuses the login is a mistake of the file; one that is away is none.
func TestRedisThatRefusesTheLogin(t *testing.T) {
	server := redistest.New(t, redistest.Options{Config: map[string]string{"requirepass": "right"}})
	for url, want := range map[string]string{
		"redis://:right@" + server.Addr():   "",
		"redis://:hunter2@" + server.Addr(): "pipeline.yaml:3:16: queue.store: redis refuses the user or the password",
		"redis://" + server.Addr():          "pipeline.yaml:3:16: queue.store: redis refuses the user or the password",
		"redis://:hunter2@127.0.0.1:1":      "",
	} {
		cfg := moveConfig(t, "spool")
		cfg.Queue.Store = config.Secret(url)
		err := checkStore(context.Background(), cfg, slog.New(slog.DiscardHandler))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2")) {
			t.Errorf("%s: %v, want %q", url, err, want)
		}
	}
}
