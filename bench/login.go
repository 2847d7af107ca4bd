//go:build linux

package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"jackfield/bench/backend"
	"jackfield/bench/compare"
	"jackfield/bench/measure"
	"jackfield/bench/peer"
	"jackfield/bench/stats"
	"jackfield/internal/identity"
)

// loginSize is how much of everything the part about passwords does.
type loginSize struct {
	tries      int           // passwords in a sample of their cost; a user and source may have three wrong ones
	logins     int           // in a sample beside an attack
	loginEvery time.Duration // one of these
	tokens     int           // token requests in a sample beside an attack
	tokenEvery time.Duration // one of these
	wrong      int           // passwords in an attack
	attackers  int           // connections of an attack
}

var (
	fullLogin = loginSize{tries: 5, logins: 15, loginEvery: 60 * time.Millisecond,
		tokens: 180, tokenEvery: 5 * time.Millisecond, wrong: 10_000, attackers: 4}
	quickLogin = loginSize{tries: 2, logins: 2, loginEvery: 50 * time.Millisecond,
		tokens: 10, tokenEvery: 5 * time.Millisecond, wrong: 100, attackers: 2}
)

// The targets of the part.
var (
	wrongTarget  = compare.Target{AtMost: 1}
	attackTarget = compare.Target{AtMost: 2}
)

// Who there is. Everybody has the same password.
const (
	password      = "correct horse battery staple"
	wrongPassword = "incorrect horse battery staple"
	people        = 8
)

// These are names: of those who log in, of those whose passwords somebody else tries, and of nobody.
func neighbour(n int) string { return fmt.Sprintf("neighbour-%d", n%people) }
func victim(n int) string    { return fmt.Sprintf("victim-%d", n%people) }
func stranger(n int) string  { return fmt.Sprintf("stranger-%d", n%people) }

func newJackfieldAPI(binary string) (peer.JackfieldAPI, error) {
	hash, err := identity.NewPasswordHash(password)
	j := peer.JackfieldAPI{Jackfield: peer.Jackfield{Binary: binary}, PasswordHash: hash.PHC()}
	for n := range people {
		j.Users = append(j.Users, neighbour(n), victim(n))
	}
	return j, err
}

// logins goes through the parts that want the real server.
func (s storeSize) logins(ctx context.Context, stage peer.Stage, p peer.Peer, tick ticker) ([]run, error) {
	service, err := backend.Start(stage.Supervisor)
	if err != nil {
		return nil, err
	}
	server, err := stage.Start(ctx, p, service)
	if err != nil {
		return nil, err
	}
	defer server.Stop()
	t := &loginTest{loginSize: s.login}
	if t.address, t.roots, err = server.API(ctx); err != nil {
		return nil, err
	}
	cost, err := s.passwords(ctx, t, tick)
	if err != nil {
		return nil, err
	}
	beside, err := s.attack(ctx, t, tick)
	return slices.Concat(cost, beside), err
}

// passwords compares wrong passwords with right ones.
func (s storeSize) passwords(ctx context.Context, t *loginTest, tick ticker) ([]run, error) {
	if !s.keys[passwordKey] {
		return nil, nil
	}
	const right, wrong, unknown = "right password", "wrong password", "no such user"
	runs, err := sampleAll(ctx, s, "What a password costs", []compare.Contestant[guess]{
		{Name: right, Subject: guess{neighbour, password, http.StatusCreated}},
		{Name: right + twin, Subject: guess{neighbour, password, http.StatusCreated}},
		{Name: wrong, Subject: guess{neighbour, wrongPassword, http.StatusUnauthorized}},
		{Name: unknown, Subject: guess{stranger, password, http.StatusUnauthorized}},
	}, []compare.Measure[guess]{t.cost()}, tick)
	for k := range runs {
		runs[k].judged = []string{wrong, unknown}
	}
	return runs, err
}

// attack compares other users' logins and calls: with the server to themselves, while somebody tries passwords, and while as many
// connections ask for what costs the server next to nothing.
func (s storeSize) attack(ctx context.Context, t *loginTest, tick ticker) ([]run, error) {
	if !s.keys[attackKey] {
		return nil, nil
	}
	const alone = "alone"
	attack := fmt.Sprintf("%d wrong passwords", t.wrong)
	harmless := fmt.Sprintf("%d ask for its health", t.attackers)
	runs, err := sampleAll(ctx, s, "Others, while passwords are tried", []compare.Contestant[nuisance]{
		{Name: alone},
		{Name: alone + twin},
		{Name: attack, Subject: nuisance{least: t.wrong, do: tryWrong}},
		{Name: harmless, Subject: nuisance{do: askHealth}},
	}, []compare.Measure[nuisance]{t.others()}, tick)
	for k := range runs {
		runs[k].judged, runs[k].beside = []string{attack}, []string{harmless}
	}
	return runs, err
}

// A loginTest is what the samples of these parts have in common.
type loginTest struct {
	loginSize
	entrance
	sources atomic.Uint32 // that were used
}

// source returns an address that the server has not seen yet: 127.0.0.2 and on.
func (t *loginTest) source() netip.Addr {
	var a [4]byte
	binary.BigEndian.PutUint32(a[:], 127<<24+1+t.sources.Add(1))
	return netip.AddrFrom4(a)
}

// A guess is a login, and how it has to be answered.
type guess struct {
	user     func(n int) string
	password string
	status   int
}

// cost samples logins one after the other. Each sample has an address of its own: nobody has to wait because of the one before.
func (t *loginTest) cost() compare.Measure[guess] {
	return compare.Measure[guess]{
		Key:     passwordKey,
		Metrics: []compare.Metric{{Name: "login, p50", Unit: "µs", Target: wrongTarget}},
		Sample: func(ctx context.Context, g guess) ([]float64, error) {
			c := t.caller(t.source(), 1)
			defer c.close()
			if err := c.health(ctx); err != nil { // the connection is there
				return nil, err
			}
			times := make([]float64, t.tries)
			for n := range times {
				began := time.Now()
				status, _, err := c.tryPassword(ctx, g.user(n), g.password)
				if err != nil {
					return nil, err
				}
				times[n] = float64(time.Since(began).Nanoseconds()) / 1e3
				if status != g.status {
					return nil, fmt.Errorf("a login was answered %d, not %d", status, g.status)
				}
			}
			return []float64{stats.Median(times)}, nil
		},
	}
}

// A nuisance is what somebody else does meanwhile, as fast as it goes: so often at least, and until the sample is taken.
type nuisance struct {
	least int
	do    func(ctx context.Context, c *caller, n int) error // nil: nothing
}

// tryWrong is content with being told to wait.
func tryWrong(ctx context.Context, c *caller, n int) error {
	status, _, err := c.tryPassword(ctx, victim(n), wrongPassword)
	if err == nil && status != http.StatusUnauthorized && status != http.StatusTooManyRequests {
		err = fmt.Errorf("a wrong password was answered %d", status)
	}
	return err
}

func askHealth(ctx context.Context, c *caller, _ int) error { return c.health(ctx) }

// others samples logins and, at the same time, calls with a token. All come from addresses of their own.
func (t *loginTest) others() compare.Measure[nuisance] {
	return compare.Measure[nuisance]{
		Key: attackKey,
		Metrics: []compare.Metric{
			{Name: "login, p50", Unit: "µs"},
			{Name: "login, p99", Unit: "µs", Target: attackTarget},
			{Name: "call with a token, p50", Unit: "µs"},
			{Name: "call with a token, p99", Unit: "µs", Target: attackTarget},
		},
		Sample: func(ctx context.Context, n nuisance) (values []float64, err error) {
			err = t.during(ctx, n, func(ctx context.Context) error {
				values, err = t.neighbours(ctx)
				return err
			})
			return values, err
		},
	}
}

// neighbours samples those who do nothing wrong.
func (t *loginTest) neighbours(ctx context.Context) ([]float64, error) {
	c := t.caller(t.source(), 2)
	defer c.close()
	token, err := c.login(ctx, neighbour(0), password)
	if err != nil {
		return nil, err
	}
	var values [4]float64
	var errs [2]error
	var wg sync.WaitGroup
	wg.Go(func() {
		n := 0
		values[0], values[1], errs[0] = measure.Paced(ctx, t.logins, t.loginEvery, func(ctx context.Context) error {
			n++
			_, err := c.login(ctx, neighbour(n), password)
			return err
		})
	})
	wg.Go(func() {
		values[2], values[3], errs[1] = measure.Paced(ctx, t.tokens, t.tokenEvery, func(ctx context.Context) error {
			return c.showToken(ctx, token)
		})
	})
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return values[:], nil
}

// during does something while the nuisance is under way, and returns when both are over.
func (t *loginTest) during(ctx context.Context, n nuisance, do func(ctx context.Context) error) error {
	if n.do == nil {
		return do(ctx)
	}
	c := t.caller(t.source(), t.attackers)
	defer c.close()
	var done atomic.Int64
	enough := make(chan struct{})
	load := func(ctx context.Context) error {
		count := int(done.Add(1))
		if count == max(n.least, 1) {
			close(enough)
		}
		return n.do(ctx, c, count)
	}
	return beside(ctx, t.attackers, load, func(ctx context.Context) error {
		if err := do(ctx); err != nil {
			return err
		}
		select {
		case <-enough:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	})
}
