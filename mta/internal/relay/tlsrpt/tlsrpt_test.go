package tlsrpt

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

const wantReport = `{
  "organization-name": "hamburger.edu",
  "date-range": {
    "start-datetime": "2026-11-25T00:00:00Z",
    "end-datetime": "2026-11-25T23:59:59Z"
  },
  "contact-info": "postmaster@hamburger.edu",
  "report-id": "2026-11-25.crepes.fr@hamburger.edu",
  "policies": [
    {
      "policy": {
        "policy-type": "no-policy-found",
        "policy-domain": "crepes.fr"
      },
      "summary": {
        "total-successful-session-count": 1,
        "total-failure-session-count": 0
      }
    },
    {
      "policy": {
        "policy-type": "sts",
        "policy-string": [
          "version: STSv1"
        ],
        "policy-domain": "crepes.fr",
        "mx-host": [
          "mx.crepes.fr"
        ]
      },
      "summary": {
        "total-successful-session-count": 2,
        "total-failure-session-count": 3
      },
      "failure-details": [
        {
          "result-type": "certificate-expired",
          "receiving-mx-hostname": "mx.crepes.fr",
          "receiving-ip": "192.0.2.1",
          "failed-session-count": 2
        },
        {
          "result-type": "sts-policy-fetch-error",
          "failed-session-count": 1,
          "failure-reason-code": "timed out"
        }
      ]
    }
  ]
}
`

func TestReport(t *testing.T) {
	var c Counts
	sts := Event{Domain: "crepes.fr", Policy: STS, Text: []string{"version: STSv1"}, MX: []string{"mx.crepes.fr"}}
	expired := sts
	expired.Failure, expired.Host, expired.Addr = Expired, "mx.crepes.fr", netip.MustParseAddr("192.0.2.1")
	fetch := sts
	fetch.Failure, fetch.Reason = STSFetchError, "timed out"
	for _, e := range []Event{sts, expired, {Domain: "crepes.fr", Policy: NoPolicy}, expired, fetch, sts, {Domain: "burger.example", Policy: NoPolicy}} {
		c.Add(noon, e)
	}
	c.Add(noon.Add(24*time.Hour), sts)
	by := Sender{"hamburger.edu", "postmaster@hamburger.edu"}
	if diff := cmp.Diff(wantReport, string(c.Report(by, "crepes.fr", noon))); diff != "" {
		t.Error(diff)
	}
	if got := c.Report(by, "crepes.fr", noon.Add(-24*time.Hour)); got != nil {
		t.Errorf("nothing was counted: %s", got)
	}
	if got := fmt.Sprint(c.Domains(noon), c.Domains(noon.Add(24*time.Hour)), c.Domains(time.Time{})); got != "[burger.example crepes.fr] [crepes.fr] []" {
		t.Errorf("got %s", got)
	}
}

func TestBounds(t *testing.T) {
	var c Counts
	for i := range maxDomains + 7 {
		c.Add(noon, Event{Domain: fmt.Sprint(i), Policy: NoPolicy})
	}
	for i := range maxDetails + 7 {
		c.Add(noon, Event{Domain: "1", Policy: NoPolicy, Failure: Failed, Reason: fmt.Sprint(i)})
	}
	if n := len(c.Domains(noon)); n != maxDomains || c.Dropped() != 7 {
		t.Errorf("%d domains, %d dropped", n, c.Dropped())
	}
	n := c.days["2026-11-25"]["1"][NoPolicy]
	if len(n.details) != maxDetails || n.failed != maxDetails+7 {
		t.Errorf("%d details of %d failures", len(n.details), n.failed)
	}
	for i := range 10 {
		c.Add(noon.Add(time.Duration(i)*24*time.Hour), Event{Domain: "1"})
	}
	if len(c.days) != maxDays || len(c.Domains(noon.Add(9*24*time.Hour))) != 1 {
		t.Errorf("%d days", len(c.days))
	}
}
