package main

import (
	"errors"
	"strconv"
	"strings"

	mta "github.com/wasmta/wasmta/sdk/go"
)

type config struct {
	Footer struct {
		Text string `json:"text"`
		HTML string `json:"html"`
	} `json:"footer"`
	Subject struct {
		Prefix string `json:"prefix"`
	} `json:"subject"`
	Attachments []rule   `json:"attachments"`
	Mark        string   `json:"mark"`
	MaxBody     mta.Size `json:"max_body"`
}

// defaultMaxBody is the largest body that gets a footer: a guest holds it
// twice, and no letter is longer.
const defaultMaxBody = 4 << 20

// A list is one text, or several.
type list []string

// UnmarshalConfig implements [mta.Unmarshaler].
func (l *list) UnmarshalConfig(v mta.Value) error {
	several, ok := v.Texts()
	switch {
	case !ok:
		return errors.New("want text or a list of texts")
	case len(several) == 0:
		return errors.New("the list is empty and would never match; remove it or fill it")
	}
	for i, s := range several {
		several[i] = strings.ToLower(s)
	}
	*l = several
	return nil
}

func (l list) has(s string) bool {
	for _, one := range l {
		if strings.TrimPrefix(one, ".") == s && s != "" {
			return true
		}
	}
	return false
}

// matchType takes "image/png", "image/*" and "*".
func (l list) matchType(mediaType string) bool {
	for _, one := range l {
		prefix, wild := strings.CutSuffix(one, "*")
		if one == mediaType || wild && strings.HasPrefix(mediaType, prefix) {
			return true
		}
	}
	return false
}

func load() (*rewriter, error) {
	c := config{MaxBody: defaultMaxBody}
	if err := mta.Config(&c); err != nil {
		return nil, err
	}
	var findings []string
	add := func(what string) { findings = append(findings, what) }
	for i := range c.Attachments {
		for _, what := range c.Attachments[i].check() {
			add("attachments[" + strconv.Itoa(i) + "]" + what)
		}
	}
	if strings.ContainsAny(c.Subject.Prefix, "\r\n\x00") || c.Subject.Prefix != "" && strings.TrimSpace(c.Subject.Prefix) == "" {
		add("subject.prefix: is no text in one line")
	}
	if c.Mark != "" && !isFieldName(c.Mark) {
		add("mark: " + strconv.Quote(c.Mark) + " is no name of a header field; write one as in X-Rewritten")
	}
	if strings.ContainsRune(c.Footer.Text+c.Footer.HTML, 0) {
		add("footer: has a NUL; remove it")
	}
	if findings != nil {
		return nil, &mta.ConfigError{Findings: findings}
	}
	return &rewriter{
		rules:   c.Attachments,
		footer:  newFooter(c.Footer.Text, c.Footer.HTML),
		subject: c.Subject.Prefix,
		mark:    c.Mark,
		maxBody: int64(c.MaxBody),
	}, nil
}

// check fills in what is left out, and says what is wrong, with the cure.
func (r *rule) check() (findings []string) {
	if r.Type == nil && r.Extension == nil && r.Over == 0 {
		findings = append(findings, ": would take every attachment away; name type, extension or over (type: \"*\" means all)")
	}
	switch r.Then {
	case "":
		r.Then = replace
	case replace, remove:
	default:
		findings = append(findings, ".then: "+strconv.Quote(r.Then)+" is unknown; write replace or remove")
	}
	for _, t := range r.Type {
		if t != "*" && strings.Count(t, "/") != 1 {
			findings = append(findings, ".type: "+strconv.Quote(t)+" is no media type; write one as in application/pdf or image/*")
		}
	}
	for _, e := range r.Extension {
		if strings.Contains(strings.TrimPrefix(e, "."), ".") || strings.ContainsAny(e, "*/ ") || strings.Trim(e, ".") == "" {
			findings = append(findings, ".extension: "+strconv.Quote(e)+" is no extension; write one as in exe")
		}
	}
	if r.Note != "" && r.Then == remove {
		findings = append(findings, ".note: is for replace; remove it, or write then: replace")
	}
	if r.Note == "" {
		r.Note = defaultNote
	}
	return findings
}

// isFieldName tells whether s is a field name (RFC 5322 §2.2).
func isFieldName(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f || s[i] == ':' {
			return false
		}
	}
	return s != ""
}
