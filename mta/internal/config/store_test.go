package config

import (
	"strings"
	"testing"
)

func TestStoresOfTheQueue(t *testing.T) {
	for url, want := range map[string]string{
		"spool":                    "",
		"redis://127.0.0.1:6379/0": "",
		"redis://127.0.0.1":        "",
		"redis://[::1]":            "",
		"rediss://mta:secret@redis.example:6380/":     "",
		"redis://:secret@redis.example":               "",
		"unix:///run/redis.sock":                      "",
		"unix://mta:secret@/run/redis.sock?db=3":      "",
		"redis+sentinel://h1:26379,h2:26379/mymaster": "",
		"rediss+sentinel://h1:26379/mymaster/1":       "",
		"redis+cluster://u:p@h1:7000,h2:7001,h3:7002": "",
		"redis+cluster://h1:7000/0":                   "",
		"redis":                                       "is not a store",
		"http://127.0.0.1":                            `scheme "http" is not known here`,
		"redis://":                                    "has a host without a port",
		"redis://h1:0":                                "has a host without a port",
		"redis://h1:6379,h2:6379":                     "has several hosts",
		"redis://h1:6379/mymaster":                    "has a bad number of a database",
		"redis://h1:6379/0/1":                         "has a path that is too long",
		"redis://h1:6379/0?timeout=1s":                "has more than hosts and a path",
		"redis://alice:50%secret@h1":                  "has a bad escape before the @",
		"redis+sentinel://h1:26379,h2:26379":          "does not name the master",
		"redis+sentinel://h1,h2:26379/mymaster":       "has a host without a port",
		"redis+sentinel://h1:26379/mymaster/secret":   "has a bad number of a database",
		"redis+cluster://h1:7000/2":                   "has a database number",
		"unix://run/redis.sock":                       "has no path from the root",
		"unix:///run/redis.sock?timeout=1":            "has a query that is not db=",
		"unix:///run/redis.sock?db=-1":                "has a bad number of a database",
	} {
		_, err := store().parse(url)
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != want || strings.Contains(got, "secret") {
			t.Errorf("%s: got %q, want %q", url, got, want)
		}
	}
}
