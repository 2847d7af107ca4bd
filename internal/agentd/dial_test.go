package agentd

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"jackfield"
	"jackfield/internal/device"
	links "jackfield/internal/link"
	"jackfield/internal/link/control"
)

// allowing is an allow-list.
func allowing(t testing.TB, addresses ...string) func(string) error {
	t.Helper()
	list, err := device.ParseAllowList(addresses)
	if err != nil {
		t.Fatal(err)
	}
	return list.Check
}

func TestStreams(t *testing.T) {
	ways(t, func(t *testing.T, h *house) {
		echo := newService(t).echo()
		offer := Offer{Services: []Service{echo.offered("echo")}, Allow: allowing(t, echo.Addr().String())}
		h.join(t, "pi", h.options(), offer)
		if got, want := h.services("pi"), []control.Service{{Name: "echo", Description: "a echo"}}; !reflect.DeepEqual(got, want) {
			t.Errorf("the agent offers %+v", got)
		}
		var all sync.WaitGroup
		for range 5 {
			for _, by := range []control.Open{{Service: "echo"}, {Address: echo.Addr().String()}} {
				all.Go(func() {
					stream, err := h.tryOpen(t, "pi", by)
					if err != nil {
						t.Error(err)
						return
					}
					ask(t, stream, "hello")
				})
			}
		}
		all.Wait()
		state := h.agents.Link("pi").State()
		if state.Open != 10 || state.Opened != 10 || state.Hello.Agent != "agent 1" {
			t.Errorf("the server sees %+v", state)
		}
		eventually(t, "connections that are kept ready", func() bool { return h.agents.Link("pi").State().Ready > 0 })
		ask(t, h.open(t, "pi", control.Open{Service: "echo"}), "by one of them")
		var status *control.Status
		eventually(t, "a count of all bytes", func() (counted bool) {
			var err error
			if status, err = h.agents.Link("pi").Status(t.Context()); err != nil {
				t.Fatal(err)
			}
			return status.ToServices == 50+14 && status.FromServices == 50+14
		})
		if status.Streams != 11 || status.Opened != 11 {
			t.Errorf("the agent says %+v", status)
		}
	})
}

func TestRefusals(t *testing.T) {
	ways(t, func(t *testing.T, h *house) {
		gone := newService(t)
		dead := gone.dead()
		allow := allowing(t, dead, ":80")
		offer := Offer{Services: []Service{offered(t, "gone", dead)}, Allow: allow}
		a := h.join(t, "pi", h.options(), offer)
		for name, test := range map[string]struct {
			ask      control.Open
			kind     jackfield.Kind
			sentence string
		}{
			"a service that it does not offer":  {control.Open{Service: "ssh"}, jackfield.NotFound, "no such service"},
			"an address that it does not allow": {control.Open{Address: "127.0.0.1:81"}, jackfield.Denied, "does not allow"},
			"both":                              {control.Open{Service: "ssh", Address: dead}, jackfield.NotFound, "no such service"},
			"neither":                           {control.Open{}, jackfield.Denied, "does not allow"},
			"no address":                        {control.Open{Address: "unix:/run/x"}, jackfield.Denied, "does not allow"},
			"a dead service":                    {control.Open{Service: "gone"}, jackfield.Unavailable, ""},
			"a dead address":                    {control.Open{Address: dead}, jackfield.Unavailable, ""},
		} {
			_, err := h.tryOpen(t, "pi", test.ask)
			refusal := jackfield.AsError(err)
			if refusal.Kind != test.kind || !strings.Contains(refusal.Message, test.sentence) || refusal.Message == "" {
				t.Errorf("%s: %v, %v", name, refusal.Kind, err)
			}
		}
		a.SetOffer(Offer{})
		_, err := h.tryOpen(t, "pi", control.Open{Address: dead})
		if jackfield.AsError(err).Kind != jackfield.Denied {
			t.Errorf("without an allow-list: %v", err)
		}
	})
}

// joined is a stream through an agent, with the service's end of it.
func (h *house) joined(t testing.TB, s *service) (client jackfield.Stream, far *net.TCPConn) {
	t.Helper()
	client = h.open(t, "pi", control.Open{Service: "it"})
	return client, s.accept()
}

func TestHalfClose(t *testing.T) {
	ways(t, func(t *testing.T, h *house) {
		s := newService(t)
		h.join(t, "pi", h.options(), Offer{Services: []Service{s.offered("it")}})
		for _, first := range []string{"client", "service"} {
			for range 5 {
				var near, far jackfield.Stream
				near, far = h.joined(t, s)
				if first == "service" {
					near, far = far, near
				}
				io.WriteString(near, "question")
				if err := near.CloseWrite(); err != nil {
					t.Fatal(err)
				}
				if question, err := io.ReadAll(far); err != nil || string(question) != "question" {
					t.Fatalf("%s first: %q, %v", first, question, err)
				}
				io.WriteString(far, "answer")
				far.CloseWrite()
				if answer, err := io.ReadAll(near); err != nil || string(answer) != "answer" {
					t.Fatalf("%s first: then %q, %v", first, answer, err)
				}
			}
		}
	})
}

func TestResets(t *testing.T) {
	ways(t, func(t *testing.T, h *house) {
		s := newService(t)
		h.join(t, "pi", h.options(), Offer{Services: []Service{s.offered("it")}})
		client, far := h.joined(t, s)
		reset(client)
		expectReset(t, far)
		client, far = h.joined(t, s)
		reset(far)
		expectReset(t, client)
	})
}

// expectReset expects that a stream has ended, but not in order.
func expectReset(t testing.TB, conn io.Reader) {
	t.Helper()
	rest, err := io.ReadAll(conn)
	if timeout, is := errors.AsType[net.Error](err); len(rest) > 0 || err == nil || is && timeout.Timeout() {
		t.Errorf("read %q, %v instead of a reset", rest, err)
	}
}

// Streams end with the link over which they came, on both ends.
func TestLinkEnds(t *testing.T) {
	for name, test := range map[string]struct {
		end  func(*testing.T, *house, Offer)
		want error
	}{
		"replaced": {func(t *testing.T, h *house, o Offer) { h.join(t, "pi", h.options(), o) }, links.ErrAgentAnew},
		"cut": {func(_ *testing.T, h *house, _ Offer) {
			h.agents.Cut(func(*links.AgentLink) error { return errors.ErrUnsupported })
		}, errors.ErrUnsupported},
		"lost": {func(_ *testing.T, h *house, _ Offer) { h.cut() }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ways(t, func(t *testing.T, h *house) {
				s := newService(t)
				offer := Offer{Services: []Service{s.offered("it")}}
				h.join(t, "pi", h.options(), offer)
				client, far := h.joined(t, s)
				test.end(t, h, offer)
				ended := client.(jackfield.Linked).Link()
				within(t, "the end of the link", ended.Done())
				if why := context.Cause(ended); test.want != nil && !errors.Is(why, test.want) || why == nil {
					t.Errorf("the link ended by %v", why)
				}
				expectReset(t, far)
				expectReset(t, client)
				h.await(t, "pi", offer) // it comes again
			})
		})
	}
}

func TestServerDrains(t *testing.T) {
	ways(t, func(t *testing.T, h *house) {
		echo := newService(t).echo()
		a := h.join(t, "pi", h.options(), Offer{Services: []Service{echo.offered("echo")}})
		stream := h.open(t, "pi", control.Open{Service: "echo"})
		eventually(t, "a connection that is kept ready", func() bool { return h.agents.Link("pi").State().Ready > 0 })
		if err := h.agents.Link("pi").Drain("an update"); err != nil {
			t.Fatal(err)
		}
		if state := h.agents.Link("pi").State(); state.Draining != "an update" || state.Ready != 0 {
			t.Errorf("the server sees %+v", state)
		}
		if _, err := h.tryOpen(t, "pi", control.Open{Service: "echo"}); !errors.Is(err, links.ErrAgentDraining) {
			t.Errorf("a new stream: %v", err)
		}
		eventually(t, "what the agent says", h.logged("an update"))
		ask(t, stream, "still there")
		stream.Close()
		if err := a.wait(t); !errors.Is(err, ErrDrained) {
			t.Errorf("the agent ended by %v", err)
		}
		eventually(t, "the end of the link", func() bool { return h.agents.Link("pi") == nil })
	})
}

var errEnough = errors.New("enough")

func TestStop(t *testing.T) {
	ways(t, func(t *testing.T, h *house) {
		echo := newService(t).echo()
		a := h.join(t, "pi", h.options(), Offer{Services: []Service{echo.offered("echo")}})
		stream := h.open(t, "pi", control.Open{Service: "echo"})
		a.stop(errEnough)
		eventually(t, "what the agent says", func() bool { return h.agents.Link("pi").State().Draining != "" })
		if _, err := h.tryOpen(t, "pi", control.Open{Service: "echo"}); !errors.Is(err, links.ErrAgentDraining) {
			t.Errorf("a new stream: %v", err)
		}
		ask(t, stream, "still there")
		stream.Close()
		if err := a.wait(t); !errors.Is(err, errEnough) {
			t.Errorf("the agent ended by %v", err)
		}
	})
}

// Streams that do not end are cut: when their time is over, or at once.
func TestStopCuts(t *testing.T) {
	for name, now := range map[string]bool{"in time": false, "now": true} {
		t.Run(name, func(t *testing.T) {
			ways(t, func(t *testing.T, h *house) {
				s := newService(t)
				o := h.options()
				if !now {
					o.DrainTimeout = 50 * time.Millisecond
				}
				a := h.join(t, "pi", o, Offer{Services: []Service{s.offered("it")}})
				client, far := h.joined(t, s)
				a.stop(errEnough)
				if now {
					close(a.cutNow)
				}
				if err := a.wait(t); !errors.Is(err, errEnough) {
					t.Errorf("the agent ended by %v", err)
				}
				expectReset(t, far)
				expectReset(t, client)
			})
		})
	}
}

func TestReload(t *testing.T) {
	h := newHouse(t)
	h.reasons = func(s control.Service) string {
		if s.Name == "secret" {
			return "may not be offered"
		}
		return ""
	}
	echo := newService(t).echo()
	var problem error
	o := h.options()
	o.Reload = func() (Offer, error) {
		return Offer{Services: []Service{echo.offered("echo"), echo.offered("secret")}}, problem
	}
	h.join(t, "pi", o, Offer{})
	if err := h.agents.Link("pi").Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the services", func() bool { return len(h.services("pi")) == 2 })
	eventually(t, "what the agent says of it", h.logged("may not be offered"))
	ask(t, h.open(t, "pi", control.Open{Service: "echo"}), "hello")
	problem = errors.New("line 3 is wrong")
	if err := h.agents.Link("pi").Reload(t.Context()); err == nil || err.Error() != "line 3 is wrong" {
		t.Errorf("the answer is %v", err)
	}
	ask(t, h.open(t, "pi", control.Open{Service: "echo"}), "the old one is at work")

	h.join(t, "other", h.options(), Offer{})
	if err := h.agents.Link("other").Reload(t.Context()); err == nil {
		t.Error("an agent without a configuration has read it")
	}
}

// keepsake is a certificate that is to be renewed.
type keepsake struct {
	mu      sync.Mutex
	due     bool
	rotated bool
	void    error
	saved   chan string
}

func (k *keepsake) NeedsRenewal(time.Time) bool      { return k.is(&k.due) }
func (k *keepsake) Rotated(tls.ConnectionState) bool { return k.is(&k.rotated) }
func (k *keepsake) Request() ([]byte, error)         { return []byte("request"), nil }
func (k *keepsake) Check(time.Time) error            { return k.void }

func (k *keepsake) is(flag *bool) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return *flag
}

func (k *keepsake) Save(certificate, authorities []byte) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.due = false
	k.saved <- string(certificate) + ", " + string(authorities)
	return nil
}

func TestRenewal(t *testing.T) {
	for name, k := range map[string]*keepsake{"it is time": {due: true}, "another authority": {rotated: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			h.renewal = &control.Renewed{Certificate: "certificate", Authority: "authorities"}
			k.saved = make(chan string, 10)
			o := h.options()
			o.Renewal = k
			h.join(t, "pi", o, Offer{})
			if asked := within(t, "the request", h.renewed); asked.Request != "request" {
				t.Errorf("asked for %q", asked.Request)
			}
			if saved := within(t, "the certificate", k.saved); saved != "certificate, authorities" {
				t.Errorf("saved %q", saved)
			}
			if _, err := h.agents.Link("pi").Status(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("refused", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t)
		h.renewal = &control.Renewed{Problem: "not any more"}
		o := h.options()
		o.Renewal = &keepsake{due: true}
		h.join(t, "pi", o, Offer{})
		eventually(t, "the refusal", h.logged("not any more"))
		if n := len(h.renewed); n != 1 {
			t.Errorf("asked %d times", n)
		}
	})
}

func TestDialsAgain(t *testing.T) {
	h := newHouse(t)
	a := h.join(t, "pi", h.options(), Offer{})
	for range 3 {
		old := h.agents.Link("pi")
		h.cut()
		eventually(t, "another link", func() bool { l := h.agents.Link("pi"); return l != nil && l != old })
	}
	a.stop(errEnough)
	if err := a.wait(t); !errors.Is(err, errEnough) {
		t.Errorf("the agent ended by %v", err)
	}
}

// What keeps an agent from its server is said in a sentence.
func TestExplain(t *testing.T) {
	h := newHouse(t)
	now := time.Now()
	good := h.authority.sign(t, "pi", now)
	stranger := newAuthority(t)
	for name, test := range map[string]struct {
		agent   tls.Certificate
		roots   *authority
		server  func(*tls.Config)
		renewal Renewal
		want    string
	}{
		"another server":     {agent: good, roots: stranger, want: "is it another server?"},
		"a stranger":         {agent: stranger.sign(t, "pi", now), want: "enrol the agent again"},
		"a stranger's clock": {agent: stranger.sign(t, "pi", now), renewal: &keepsake{void: errors.New("the clock")}, want: "the clock"},
		"expired":            {agent: h.authority.sign(t, "pi", now.AddDate(-1, 0, 0)), want: "by the server's clock"},
		"not yet good":       {agent: h.authority.sign(t, "pi", now.AddDate(1, 0, 0)), want: "by the server's clock"},
		"the server's has expired": {
			agent: good, want: "this machine's clock says",
			server: func(c *tls.Config) {
				c.Certificates = []tls.Certificate{h.authority.sign(t, "server", now.AddDate(-1, 0, 0))}
			},
		},
		"revoked": {
			agent: good, want: "was removed or revoked",
			server: func(c *tls.Config) {
				c.VerifyConnection = func(tls.ConnectionState) error { return errors.New("revoked") }
			},
		},
		"no agents": {agent: good, want: "takes no agents at this port", server: func(c *tls.Config) { c.NextProtos = []string{"h2"} }},
	} {
		t.Run(name, func(t *testing.T) {
			config := h.config.Clone()
			if test.server != nil {
				test.server(config)
			}
			was := h.config
			h.mu.Lock()
			h.config = config
			h.mu.Unlock()
			defer func() { h.mu.Lock(); h.config = was; h.mu.Unlock() }()
			roots := h.authority
			if test.roots != nil {
				roots = test.roots
			}
			server := Server{Address: h.address, TLS: func(protocol string) *tls.Config {
				return &tls.Config{
					ServerName: "127.0.0.1", RootCAs: roots.pool, NextProtos: []string{protocol},
					// Also one that the server does not ask for.
					GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &test.agent, nil },
				}
			}}
			o := h.options()
			o.Renewal = test.renewal
			a := New(o, Offer{})
			err := a.dialOnce(t.Context(), newDialler(server), func() {})
			if got := a.explain(err); got == nil || !strings.Contains(got.Error(), test.want) {
				t.Errorf("got %v (%v), want %q", got, err, test.want)
			}
		})
	}
}

func TestDataAddress(t *testing.T) {
	d := &dialler{Server: Server{Address: "gw.example:8443"}}
	for told, want := range map[string]string{
		"": "gw.example:8443", ":9000": "gw.example:9000", "10.0.0.1:9000": "gw.example:9000", "[::1]:1": "gw.example:1", "nonsense": "",
	} {
		if got, err := d.dataAddress(&control.ServerHello{Data: told}); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", told, got, err)
		}
	}
}
