package admin

import (
	_ "embed"
	"net/http"

	"github.com/wasmta/wasmta/mta/internal/queue"
)

// openAPI describes the API; a test makes it from the routes and their types.
//
//go:generate go test -run TestTheDescriptionIsThatOfTheRoutes -update .
//go:embed openapi.json
var openAPI []byte

// A route is one thing that the API can do. The table of routes is the one place
// that says which there are: the handlers and openapi.json come from it.
type route struct {
	method, path string
	name         string // operationId
	doc          string
	query        any    // a struct whose fields are the parameters; nil: none
	body         any    // nil: none
	answer       any    // of status 200
	media        string // of the answer; empty: JSON
	problems     []int  // status codes of its own, beside those that any route may have
	serve        func(*Server, http.ResponseWriter, *http.Request) error
}

// The media types of answers.
const (
	mediaJSON    = "application/json"
	mediaLines   = "application/x-ndjson" // one JSON value a line
	mediaMessage = "message/rfc822"
	mediaProblem = "application/problem+json" // RFC 9457
)

func routes() []route {
	all := []route{
		{method: "GET", path: "/v1/openapi.json", name: "openapi", doc: "This description.", answer: map[string]any{}, serve: (*Server).serveOpenAPI},
		{method: "GET", path: "/v1/about", name: "about", doc: "What runs.", answer: About{}, serve: (*Server).serveAbout},
		{method: "POST", path: "/v1/reload", name: "reload", doc: "Reads the pipeline file and the plugins again. If something is wrong with them the server goes on with what it had, and the problem's detail has the findings, one a line.", answer: Nothing{}, problems: []int{422}, serve: (*Server).serveReload},
		{method: "GET", path: "/v1/queue/messages", name: "list", doc: "Lists messages, one a line, in the order of their age. If the queue cannot be read any further, the last line has an error and no queue_id; if a part of the queue could not be asked, the last line has lacks and no queue_id.", query: listQuery{}, answer: Message{}, media: mediaLines, serve: (*Server).serveList},
		{method: "GET", path: "/v1/queue/messages/{id}", name: "show", doc: "Everything of one message but its content.", answer: Message{}, problems: []int{404}, serve: (*Server).serveMessage},
		{method: "GET", path: "/v1/queue/messages/{id}/content", name: "content", doc: "The exact octets of a message's content.", media: mediaMessage, problems: []int{404}, serve: (*Server).serveContent},
		{method: "GET", path: "/v1/queue/stats", name: "stats", doc: "Counts what messages have in common, by age.", query: statsQuery{}, answer: Stats{}, serve: (*Server).serveStats},
		{method: "GET", path: "/v1/queue/lanes", name: "lanes", doc: "How the next hops stand that this node has to do with.", answer: Lanes{}, serve: (*Server).serveLanes},
		{method: "GET", path: "/v1/queue/rules", name: "rules", doc: "The hold rules in force.", answer: Rules{}, serve: (*Server).serveRules},
		{method: "PUT", path: "/v1/queue/rules/{name}", name: "addRule", doc: "Holds what is yet to come and fits. What is queued already stays as it is.", body: NewRule{}, answer: Rule{}, problems: []int{409, 422}, serve: (*Server).serveAddRule},
		{method: "DELETE", path: "/v1/queue/rules/{name}", name: "removeRule", doc: "Takes a hold rule back. What it holds stays held until it is released.", answer: Rule{}, problems: []int{404}, serve: (*Server).serveRemoveRule},
		{method: "GET", path: "/v1/queue/suppressions", name: "suppressions", doc: "The addresses and domains that nothing goes to any more, one a line.", answer: Suppression{}, media: mediaLines, serve: (*Server).serveSuppressions},
		{method: "PUT", path: "/v1/queue/suppressions/{address}", name: "suppress", doc: "Lets nothing go to an address or a domain any more: mail for it is returned to its sender.", body: NewSuppression{}, answer: Suppression{}, problems: []int{422}, serve: (*Server).serveSuppress},
		{method: "DELETE", path: "/v1/queue/suppressions/{address}", name: "allow", doc: "Takes that back.", answer: Suppression{}, problems: []int{404}, serve: (*Server).serveAllow},
	}
	for _, a := range actions {
		all = append(all, route{
			method: "POST", path: "/v1/queue/" + string(a.do), name: string(a.do), doc: a.doc, body: a.body, answer: Change{}, problems: []int{422},
			serve: func(s *Server, w http.ResponseWriter, r *http.Request) error {
				return s.serveAction(w, r, a.do, a.order)
			},
		})
	}
	return all
}

// actions are what can be done to messages.
var actions = []struct {
	do    queue.Action
	doc   string
	body  any
	order func(*http.Request) (queue.Order, error)
}{
	{queue.Retry, "Makes messages due now; those that are held are released.", Choice{}, plainOrder},
	{queue.Hold, "Keeps messages until they are released.", ReasonedChoice{}, reasonedOrder},
	{queue.Release, "Makes held messages due now.", Choice{}, plainOrder},
	{queue.Flush, "Makes all that waits due now, and tries next hops that are down at once. What is held stays held.", Choice{}, plainOrder},
	{queue.Reroute, "Sets where recipients go, and makes their messages due now. Only recipients that to and domain of the filter choose are rerouted.", Reroute{}, rerouteOrder},
	{queue.Bounce, "Returns messages to their senders now. Only recipients that to and domain of the filter choose are returned.", ReasonedChoice{}, reasonedOrder},
	{queue.Drop, "Removes messages, and tells nobody. Only recipients that to and domain of the filter choose are removed.", Choice{}, plainOrder},
}

// api is the handler of all routes.
func (s *Server) api() *http.ServeMux {
	mux := http.NewServeMux()
	for _, r := range routes() {
		mux.HandleFunc(r.method+" "+r.path, func(w http.ResponseWriter, req *http.Request) {
			req.Body = http.MaxBytesReader(w, req.Body, maxBody)
			err := r.allow(req.Context())
			if err == nil {
				err = r.serve(s, w, req)
			} else {
				s.log().Warn("operator refused", "who", who(req.Context()), "path", req.URL.Path, "err", err)
			}
			if err != nil {
				s.fail(w, err)
			}
		})
	}
	return mux
}

func (s *Server) serveOpenAPI(w http.ResponseWriter, r *http.Request) error {
	if err := noQuery(r); err != nil {
		return err
	}
	w.Header().Set("Content-Type", mediaJSON)
	_, err := w.Write(openAPI)
	s.gone(err)
	return nil
}

// Operator is the handler of the socket: the API, and the profiles of the Go
// runtime. It is for the socket alone, where the file's mode decides who may
// call it.
func (s *Server) Operator() http.Handler {
	mux := s.api()
	addProfiles(mux)
	return s.withProblems(mux)
}

// withProblems answers as the API does where no route is.
func (s *Server) withProblems(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h, pattern := mux.Handler(r)
		if pattern != "" {
			mux.ServeHTTP(w, r)
			return
		}
		missed := &missed{header: w.Header()}
		h.ServeHTTP(missed, r)
		switch missed.status {
		case http.StatusMethodNotAllowed:
			s.fail(w, &problemError{missed.status, "allowed here: " + w.Header().Get("Allow")})
		default:
			s.fail(w, &problemError{http.StatusNotFound, "there is no such thing here; /v1/openapi.json says what there is"})
		}
	})
}

// missed takes what net/http says where no route is.
type missed struct {
	header http.Header
	status int
}

func (m *missed) Header() http.Header         { return m.header }
func (m *missed) Write(b []byte) (int, error) { return len(b), nil }
func (m *missed) WriteHeader(status int)      { m.status = status }
