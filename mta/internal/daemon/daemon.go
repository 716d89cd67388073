// Package daemon builds the server out of its parts from one configuration,
// runs it, reloads it and ends it. Nothing else knows all of the parts.
package daemon

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/wasmta/wasmta/mta/internal/account"
	"github.com/wasmta/wasmta/mta/internal/admin"
	"github.com/wasmta/wasmta/mta/internal/config"
	"github.com/wasmta/wasmta/mta/internal/kv"
	"github.com/wasmta/wasmta/mta/internal/mailbox"
	"github.com/wasmta/wasmta/mta/internal/metrics"
	"github.com/wasmta/wasmta/mta/internal/queue"
	"github.com/wasmta/wasmta/mta/internal/queue/shared"
	"github.com/wasmta/wasmta/mta/internal/relay/tlsrpt"
	"github.com/wasmta/wasmta/mta/internal/standing"
	"github.com/wasmta/wasmta/sdk/abi"
)

// drainTime is how long sessions may go on after SIGTERM. A client in the
// middle of a message can finish it; a stuck one does not keep the server.
const drainTime = 15 * time.Second

// A Server is a running mail server. Build it with [Start] and end it with
// [Server.Run].
type Server struct {
	cfg     *config.Config
	log     *slog.Logger
	metrics *metrics.Set
	since   time.Time

	current     current          // what a reload replaces
	loaded      *config.Config   // that of the current generation; guarded by reloading
	reloading   sync.Mutex       // one reload at a time
	retired     sync.WaitGroup   // generations that are being freed
	tls         certificate      // replaced by a reload too
	accountFile *account.File    // those of `mta account`
	guard       *account.Guard   // who guesses stays slow over a reload
	store       queue.Store      // the spool, or shared
	shared      *shared.Store    // nil: the queue is not in Redis
	limits      queue.Limits     // of all nodes together; nil: the same
	kv          spaces           // what plugins remember: one for all generations
	standing    *standing.Orders //
	orders      *kv.Store        // a copy of them; nil: the queue is not in Redis
	queue       *queue.Queue     //
	mailboxes   *mailbox.Store   //
	admin       *admin.Server    //
	services    []service        // one for each listener kind that is served
	socket      net.Listener     // of the operator
	listeners   []BoundListener  // in the order of the file

	tlsReports tlsrpt.Counts // one for all generations

	selfOnce sync.Once
	self     func(netip.AddrPort) bool // made at the first attempt, when all listeners are bound

	serving sync.WaitGroup // one for each running Serve
}

// A BoundListener is an address that is served.
type BoundListener struct {
	Protocol string // its key in the file
	Addr     net.Addr
	TLS      bool // from the first octet
}

// A service speaks one protocol on its listeners.
type service struct {
	protocol  string
	listeners []net.Listener
	serve     func(net.Listener) error
	shutdown  func(context.Context) error
}

// LoadConfig reads and checks a pipeline file, as far as that can be done
// without starting anything.
func LoadConfig(file string) (*config.Config, config.Findings) {
	return config.Load(file, configOptions())
}

// Start builds the server of cfg: plugins, queue, mailboxes and listeners. It
// accepts connections when it returns, and serves them once Run is called.
// Mistakes in the file come back as [config.Findings].
func Start(ctx context.Context, cfg *config.Config, log *slog.Logger) (_ *Server, err error) {
	s := &Server{cfg: cfg, log: log, since: time.Now(), metrics: metrics.New(Version())}
	defer func() {
		if err != nil {
			s.abandon(ctx)
		}
	}()
	if err := makeFolders(cfg.State); err != nil {
		return nil, err
	}
	if err := s.open(ctx); err != nil {
		return nil, err
	}
	gen, err := s.newGeneration(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if err := refuseDemo(ctx, cfg, gen.directory); err != nil {
		gen.close(ctx)
		return nil, err
	}
	s.current.replace(gen)
	s.loaded = cfg
	s.metrics.Loaded(time.Now())
	if err := s.listen(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// makeFolders makes the state folder, private to the server's user: it holds
// mail.
func makeFolders(state string) error {
	for _, dir := range []string{state, filepath.Join(state, "mail"), filepath.Join(state, "tmp"), filepath.Join(state, "cache")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("state folder: %w", err)
		}
	}
	return nil
}

// open opens what keeps mail and accounts.
func (s *Server) open(ctx context.Context) error {
	if err := s.tls.load(s.cfg); err != nil {
		return err
	}
	var err error
	if s.socket, err = admin.ListenSocket(s.cfg.State); err != nil {
		return err // also when another server has the state folder
	}
	if err := s.openStore(ctx); err != nil {
		return err
	}
	if s.mailboxes, err = mailbox.Open(filepath.Join(s.cfg.State, "mail"), mailbox.Options{
		Hostname: s.cfg.Hostname, Known: s.current.known, Log: s.log,
	}); err != nil {
		return err
	}
	if s.kv, err = s.openSpaces(); err != nil {
		return err
	}
	if err := s.openStanding(ctx); err != nil {
		return err
	}
	s.accountFile = account.OpenFile(filepath.Join(s.cfg.State, accountsFile), s.log)
	s.guard = account.NewGuard()
	s.queue = &queue.Queue{
		Store: s.store, Deliverer: &s.current, Hostname: s.cfg.Hostname, Log: s.log,
		Schedule:    queue.Schedule{First: s.cfg.Queue.Retry.First, Factor: s.cfg.Queue.Retry.Factor, Max: s.cfg.Queue.Retry.Max},
		WarnAfter:   s.cfg.Queue.WarnAfter,
		ExpireAfter: s.cfg.Queue.ExpireAfter,
		Concurrency: s.cfg.Queue.Concurrency,
		LaneLimit:   s.cfg.Relay.Concurrency,
		RetryOn:     retryOn(&s.cfg.Queue.RetryOn),
		NextHops:    nextHops(s.cfg),
		Lane:        s.current.lane,
		Lease:       s.cfg.Queue.Lease,
		Limits:      s.limits,
		Postmaster:  s.cfg.DoubleBounces(),
		Observer:    s.metrics.Queue(),
		Hooks:       &s.current,
		Standing:    s.standing,
	}
	if s.shared != nil {
		s.queue.Announce = s.shared.Announce
	}
	s.metrics.WatchQueue(s.queueState)
	s.admin = &admin.Server{
		About: admin.About{
			Version: Version(), Go: runtime.Version(), ABI: ABIVersion(), Hostname: s.cfg.Hostname,
			Pipeline: s.cfg.File, PID: os.Getpid(), Since: s.since,
		},
		Queue: s.queue, Standing: s.standing, Reload: s.Reload, Status: s.status, Metrics: s.metrics.Handler, Log: s.log,
		Observer: s.metrics.Operator(), Tokens: s.current.tokens, Verify: account.Verify,
	}
	return nil
}

func (s *Server) queueState() (metrics.QueueState, error) {
	stats, err := s.queue.Stats(context.Background())
	if err != nil {
		return metrics.QueueState{}, err
	}
	state := metrics.QueueState{Messages: map[string]int{
		string(queue.Waiting): stats.Waiting, string(queue.Active): stats.Active, string(queue.Held): stats.Held,
	}, NextHops: nextHopStates(stats, s.queue.Lanes())}
	if !stats.Oldest.IsZero() {
		state.Oldest = time.Since(stats.Oldest)
	}
	return state, nil
}

func (s *Server) status() admin.Status {
	var st admin.Status
	for _, l := range s.listeners {
		st.Listeners = append(st.Listeners, admin.Listener{Protocol: l.Protocol, Address: l.Addr.String(), TLS: l.TLS})
	}
	g := s.current.acquire()
	defer s.current.release(g)
	st.Stages = g.stages
	return st
}

// Listeners returns the addresses that are served, in the order of the file.
func (s *Server) Listeners() []BoundListener { return s.listeners }

// Run serves until ctx ends, then drains: no new sessions, those that are in a
// transaction may finish it, attempts in flight too. Each value from reload
// reloads the file. It returns nil once everything is closed in good order.
func (s *Server) Run(ctx context.Context, reload <-chan os.Signal) error {
	stopStore := background(s.runStore)
	stopReports := background(s.reportTLS)
	queueCtx, stopQueue := context.WithCancel(context.Background())
	defer stopQueue()
	var running sync.WaitGroup
	running.Go(func() { s.queue.Run(queueCtx) })
	running.Go(func() { s.kv.Run(queueCtx) })
	running.Go(func() { s.runStanding(queueCtx) })

	adminCtx, stopAdmin := context.WithCancel(context.Background())
	defer stopAdmin()
	s.serveAdmin(adminCtx)
	failed := make(chan error, len(s.listeners))
	for _, svc := range s.services {
		for _, l := range svc.listeners {
			s.serving.Go(func() {
				if err := svc.serve(l); err != nil && !isClosed(err) {
					failed <- fmt.Errorf("listener %s on %s: %w", svc.protocol, l.Addr(), err)
				}
			})
		}
	}
	for _, l := range s.listeners {
		s.log.Info("listening", "listener", l.Protocol, "addr", l.Addr.String())
	}
	s.log.Info("serving", "hostname", s.cfg.Hostname, "pipeline", s.cfg.File, "stages", len(s.cfg.Pipeline))

	err := s.wait(ctx, reload, failed)
	s.log.Info("draining")
	s.admin.Drain()
	s.drain()
	stopQueue()
	running.Wait()
	stopStore() // after the last result is written
	stopReports()
	stopAdmin()
	s.serving.Wait()
	err = errors.Join(err, s.close())
	s.log.Info("stopped")
	return err
}

// background runs f, and returns what ends it and waits for that.
func background(f func(context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(ctx)
	}()
	return func() {
		cancel()
		<-done
	}
}

// wait returns when ctx ends (nil) or a listener fails.
func (s *Server) wait(ctx context.Context, reload <-chan os.Signal, failed <-chan error) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-failed:
			return err
		case <-reload:
			s.Reload(ctx) // logged there
		}
	}
}

// drain ends the sessions of all services at once. Those that tell how the
// server is end last: until then /healthz says that it is draining.
func (s *Server) drain() {
	s.shutdown(func(svc service) bool { return svc.protocol != "http" })
	s.shutdown(func(svc service) bool { return svc.protocol == "http" })
}

func (s *Server) shutdown(which func(service) bool) {
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	var wg sync.WaitGroup
	for _, svc := range s.services {
		if !which(svc) {
			continue
		}
		wg.Go(func() {
			if err := svc.shutdown(ctx); err != nil {
				s.log.Warn("drain", "listener", svc.protocol, "err", err)
			}
		})
	}
	wg.Wait()
}

// close frees everything, in the order opposite to the way of mail.
func (s *Server) close() error {
	s.retired.Wait()
	s.current.end(context.Background())
	err := errors.Join(s.mailboxes.Close(), s.store.Close(), s.kv.Close())
	if s.orders != nil {
		err = errors.Join(err, s.orders.Close())
	}
	return err
}

// abandon frees what a Start that failed had opened.
func (s *Server) abandon(ctx context.Context) {
	for _, svc := range s.services {
		for _, l := range svc.listeners {
			l.Close()
		}
	}
	s.current.end(ctx)
	if s.mailboxes != nil {
		s.mailboxes.Close()
	}
	if s.store != nil {
		s.store.Close()
	}
	if s.kv != nil {
		s.kv.Close()
	}
	if s.orders != nil {
		s.orders.Close()
	}
	if s.socket != nil {
		s.socket.Close()
	}
}

// ABIVersion is the version of the plugin ABI, "1.0".
func ABIVersion() string { return fmt.Sprintf("%d.%d", abi.Major, abi.Minor) }

// A certificate is that of the tls section; a reload replaces it.
type certificate struct {
	mu   sync.Mutex // guards cert
	cert *tls.Certificate
}

func (c *certificate) load(cfg *config.Config) error {
	if !cfg.TLS.Enabled() {
		return nil
	}
	cert, err := tls.LoadX509KeyPair(cfg.TLS.Cert, cfg.TLS.Key)
	if err != nil {
		return config.Findings{cfg.Finding("tls", err.Error(), "name the PEM files of a certificate and its key")}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cert = &cert
	return nil
}

// config is for servers; nil without a certificate.
func (c *certificate) config() *tls.Config {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cert == nil {
		return nil
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12, // RFC 8996
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			c.mu.Lock()
			defer c.mu.Unlock()
			return c.cert, nil
		},
	}
}
