package sts

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestParsePolicy(t *testing.T) {
	const rest = "mx: a.crepes.fr\nmax_age: 60\n"
	for text, want := range map[string]string{
		enforced:                                 "enforce 168h0m0s mx.crepes.fr *.backup.crepes.fr",
		"version: STSv1\nmode: testing\n" + rest: "testing 1m0s a.crepes.fr",
		"mode:testing\nversion:STSv1 \nmx:A.Crepes.FR.\nmax_age:60":      "testing 1m0s a.crepes.fr",
		"version: STSv1\nmode: none\nmax_age: 60\n":                      "none 1m0s",
		"version: STSv1\nmode: enforce\nmode: none\nother: x:y\n" + rest: "enforce 1m0s a.crepes.fr",
		"version: STSv1\nmode: enforce\nmx: a.b\nmax_age: 9999999999\n":  "enforce 8766h0m0s a.b",
		"version: STSv1\nmode: enforce\nmax_age: 60\n":                   "no mx",
		"version: STSv1\nmode: strict\n" + rest:                          `mode "strict"`,
		"version: STSv2\nmode: enforce\n" + rest:                         `version "STSv2"`,
		"mode: enforce\n" + rest:                                         `version ""`,
		"version: STSv1\nmode: enforce\nmx: a.b\n":                       `max_age ""`,
		"version: STSv1\nmode: enforce\nmx: a.b\nmax_age: -1\n":          `max_age "-1"`,
		"version: STSv1\nmode: enforce\nmx: a.b\nmax_age: 99999999999\n": `max_age "99999999999"`,
		"version: STSv1\nmode: enforce\nmx: *.*.b.c\nmax_age: 60\n":      `mx "*.*.b.c" is no host`,
		"version: STSv1\nmode: enforce\nmx: ../x\nmax_age: 60\n":         `mx "../x" is no host`,
		"<html>": "a line without a colon",
		"":       `version ""`,
	} {
		p, err := parsePolicy(text)
		got := fmt.Sprint(err)
		if err == nil {
			got = strings.TrimSpace(fmt.Sprint(p.Mode, " ", p.MaxAge, " ", strings.Join(p.MX, " ")))
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestParseRecords(t *testing.T) {
	for texts, want := range map[string]string{
		"v=STSv1; id=20160831085700Z;":           "20160831085700Z",
		"v=STSv1;id=1":                           "1",
		"v=STSv1 ; x=y; id=a1":                   "a1",
		"v=spf1 -all|v=STSv1; id=1":              "1",
		"v=STSv1; id=1|v=STSv1; id=1":            "",
		"v=STSv1":                                "",
		"v=STSv1; id=":                           "",
		"v=STSv1; id=a-b":                        "",
		"v=STSv2; id=1":                          "",
		"V=STSv1; id=1":                          "",
		"v=STSv1; id=" + strings.Repeat("1", 33): "",
		"":                                       "",
	} {
		if id, ok := parseRecords(strings.Split(texts, "|")); ok != (want != "") || ok && id != want {
			t.Errorf("%q: got %q, %v", texts, id, ok)
		}
	}
}

func TestMatches(t *testing.T) {
	p := &Policy{MX: []string{"mx.crepes.fr", "*.backup.crepes.fr"}}
	for host, want := range map[string]bool{
		"mx.crepes.fr": true, "MX.crepes.fr.": true, "a.backup.crepes.fr": true,
		"backup.crepes.fr": false, "a.b.backup.crepes.fr": false, "crepes.fr": false, "a.mx.crepes.fr": false, "": false,
	} {
		if p.Matches(host) != want {
			t.Errorf("%q: %v", host, !want)
		}
	}
}

func TestExpired(t *testing.T) {
	now := time.Now()
	p := &Policy{Fetched: now, MaxAge: time.Hour}
	if p.Expired(now.Add(59*time.Minute)) || !p.Expired(now.Add(time.Hour)) {
		t.Error("max_age counts from when it was fetched")
	}
}

func FuzzParsePolicy(f *testing.F) {
	f.Add(enforced)
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parsePolicy(text)
		if err != nil {
			return
		}
		if p.MaxAge < 0 || p.MaxAge > maxAge*time.Second || len(p.MX) > maxMX {
			t.Errorf("got %+v", p)
		}
		p.Matches("mx.crepes.fr")
	})
}
