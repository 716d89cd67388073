package admin

import (
	"net/http"

	"github.com/wasmta/wasmta/mta/internal/standing"
)

func (s *Server) serveRules(w http.ResponseWriter, r *http.Request) error {
	if err := noQuery(r); err != nil {
		return err
	}
	answer := Rules{Rules: []Rule{}}
	for _, rule := range s.Standing.Rules() {
		answer.Rules = append(answer.Rules, newRule(rule))
	}
	return s.answer(w, answer)
}

func (s *Server) serveAddRule(w http.ResponseWriter, r *http.Request) error {
	if err := noQuery(r); err != nil {
		return err
	}
	var n NewRule
	if err := readBody(r, &n); err != nil {
		return err
	}
	by := who(r.Context())
	rule, err := s.Standing.AddRule(r.Context(), standing.Rule{
		Name: r.PathValue("name"), From: n.From, To: n.To, Domain: n.Domain, Reason: n.Reason, By: by,
	})
	if err != nil {
		return err
	}
	s.ordered("rule added", "add_rule", "rule", rule.Name, "who", by, "from", rule.From, "to", rule.To, "domain", rule.Domain, "reason", rule.Reason)
	return s.answer(w, newRule(rule))
}

func (s *Server) serveRemoveRule(w http.ResponseWriter, r *http.Request) error {
	if err := noQuery(r); err != nil {
		return err
	}
	rule, err := s.Standing.RemoveRule(r.Context(), r.PathValue("name"))
	if err != nil {
		return err
	}
	s.ordered("rule removed", "remove_rule", "rule", rule.Name, "who", who(r.Context()))
	return s.answer(w, newRule(rule))
}

func (s *Server) serveSuppressions(w http.ResponseWriter, r *http.Request) error {
	if err := noQuery(r); err != nil {
		return err
	}
	out := s.lines(w)
	for _, one := range s.Standing.Suppressions() {
		if !out.write(newSuppression(one)) {
			break
		}
	}
	return nil
}

func (s *Server) serveSuppress(w http.ResponseWriter, r *http.Request) error {
	if err := noQuery(r); err != nil {
		return err
	}
	var n NewSuppression
	if err := readBody(r, &n); err != nil {
		return err
	}
	by := who(r.Context())
	one, err := s.Standing.Suppress(r.Context(), standing.Suppression{Address: r.PathValue("address"), Reason: n.Reason, Until: n.Until, By: by})
	if err != nil {
		return err
	}
	attrs := []any{"address", one.Address, "who", by, "reason", one.Reason}
	if !one.Until.IsZero() {
		attrs = append(attrs, "until", one.Until)
	}
	s.ordered("suppressed", "suppress", attrs...)
	return s.answer(w, newSuppression(one))
}

func (s *Server) serveAllow(w http.ResponseWriter, r *http.Request) error {
	if err := noQuery(r); err != nil {
		return err
	}
	one, err := s.Standing.Allow(r.Context(), r.PathValue("address"))
	if err != nil {
		return err
	}
	s.ordered("suppression removed", "allow", "address", one.Address, "who", who(r.Context()))
	return s.answer(w, newSuppression(one))
}

// ordered logs and counts a change of the standing orders.
func (s *Server) ordered(event, action string, attrs ...any) {
	s.log().Info(event, attrs...)
	if s.Observer != nil {
		s.Observer.Operated(action, 0)
	}
}
