package inedo

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func request(first, last int32) []byte { return Request{first, last}.marshal() }

// answer is a wide reply without encryption.
func answer(slot, major int32) []byte {
	return Reply{Slot: slot, Version: Version{Major: major}, Width: WidthWide}.marshal()
}

func TestNegotiation(t *testing.T) {
	const big = math.MaxInt32
	for name, row := range map[string]struct {
		first, last int32
		config      AgentConfig
		want        Protocol // 0: refused
		slot        int32
	}{
		"V2":                           {1000, 2000, AgentConfig{}, V2, 2000},
		"V2 only":                      {2000, 2000, AgentConfig{}, V2, 2000},
		"V1":                           {1000, 0, AgentConfig{}, V1, 0},
		"V1, a session ID":             {1000, 77, AgentConfig{}, V1, 0},
		"V1, a negative session ID":    {1000, -1, AgentConfig{}, V1, 0},
		"highest version in between":   {1000, 1500, AgentConfig{}, V1, 0},
		"newer than we are":            {1000, 3000, AgentConfig{}, V2, 2000},
		"newest":                       {2000, big, AgentConfig{}, V2, 2000},
		"lowest version in between":    {1500, 2500, AgentConfig{}, V2, 2000},
		"nothing in between":           {1500, 1800, AgentConfig{}, 0, 0},
		"all newer":                    {2001, 3000, AgentConfig{}, 0, 0},
		"min > max":                    {2000, 1000, AgentConfig{}, 0, 0},
		"min > max, both high":         {3000, 2000, AgentConfig{}, 0, 0},
		"zeros":                        {0, 0, AgentConfig{}, 0, 0},
		"from zero":                    {0, 2000, AgentConfig{}, 0, 0},
		"negative":                     {-1000, 2000, AgentConfig{}, 0, 0},
		"both negative":                {-2000, -1000, AgentConfig{}, 0, 0},
		"least":                        {math.MinInt32, big, AgentConfig{}, 0, 0},
		"agent of V1":                  {1000, 2000, AgentConfig{Options: Options{MaxProtocol: V1}}, V1, 1000},
		"agent of V1, client of V2":    {2000, 2000, AgentConfig{Options: Options{MaxProtocol: V1}}, 0, 0},
		"agent of V2, client of V1":    {1000, 0, AgentConfig{Options: Options{MinProtocol: V2}}, 0, 0},
		"exact, V2":                    {1000, 2000, AgentConfig{ExactRequest: true}, V2, 2000},
		"exact, V1":                    {1000, 999, AgentConfig{ExactRequest: true}, V1, 0},
		"exact, a session ID too high": {1000, 1000, AgentConfig{ExactRequest: true}, 0, 0},
		"exact, newer":                 {1000, 2001, AgentConfig{ExactRequest: true}, 0, 0},
		"exact, V2 only":               {2000, 2000, AgentConfig{ExactRequest: true}, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			conn := scripted(request(row.first, row.last))
			c, err := Accept(t.Context(), conn, row.config)
			if row.want == 0 {
				if !errors.Is(err, ErrVersion) || conn.out.Len() > 0 || !conn.closed {
					t.Fatalf("%v, %d bytes, closed: %v", err, conn.out.Len(), conn.closed)
				}
				return
			}
			if err != nil || c.Protocol() != row.want || c.Reply().Slot != row.slot {
				t.Fatalf("%+v, %v", c, err)
			}
			if !bytes.Equal(conn.out.Bytes(), answer(row.slot, DefaultMajor)) || conn.writes != 1 {
				t.Errorf("replied %x in %d writes", conn.out.Bytes(), conn.writes)
			}
		})
	}
}

func TestClientChoosesProtocol(t *testing.T) {
	for name, row := range map[string]struct {
		config      ClientConfig
		slot, major int32
		want        Protocol // 0: refused
	}{
		"V2":                              {ClientConfig{}, 2000, 43, V2},
		"V1":                              {ClientConfig{}, 1000, 51, V1},
		"a session ID":                    {ClientConfig{}, 7, 40, V1},
		"a session ID that is returned":   {ClientConfig{}, 2000, 42, V1},
		"an agent of unknown version":     {ClientConfig{}, 2000, 0, V1},
		"which is taken at its word":      {ClientConfig{AnyVersion: true}, 2000, 0, V2},
		"an unknown protocol":             {ClientConfig{}, 1500, 51, V1},
		"a negative one":                  {ClientConfig{}, -2000, 51, V1},
		"V2 wanted":                       {ClientConfig{Options: Options{MinProtocol: V2}}, 2000, 51, V2},
		"V2 wanted, V1 answers":           {ClientConfig{Options: Options{MinProtocol: V2}}, 1000, 51, 0},
		"V2 wanted, old agent":            {ClientConfig{Options: Options{MinProtocol: V2}}, 2000, 42, 0},
		"V1 wanted":                       {ClientConfig{Options: Options{MaxProtocol: V1}}, 0, 51, V1},
		"V1 wanted, session ID like V2":   {ClientConfig{Options: Options{MaxProtocol: V1}}, 2000, 51, V1},
		"V1 wanted, taken at its word":    {ClientConfig{Options: Options{MaxProtocol: V1}, AnyVersion: true}, 2000, 51, V1},
		"V2 wanted, taken at its word":    {ClientConfig{Options: Options{MinProtocol: V2}, AnyVersion: true}, 2000, 1, V2},
		"V2 wanted, and something else":   {ClientConfig{Options: Options{MinProtocol: V2}}, 3000, 51, 0},
		"a version that became negative?": {ClientConfig{}, 2000, -1, V1},
	} {
		t.Run(name, func(t *testing.T) {
			conn := scripted(answer(row.slot, row.major))
			c, err := Handshake(t.Context(), conn, row.config)
			switch {
			case row.want == 0:
				if !errors.Is(err, ErrVersion) || !conn.closed {
					t.Errorf("%v, closed: %v", err, conn.closed)
				}
			case err != nil || c.Protocol() != row.want:
				t.Errorf("%+v, %v", c, err)
			}
		})
	}
}

func TestWrongID(t *testing.T) {
	straight := append(append([]byte(nil), protocolID[:]...), request(1000, 2000)[16:]...)
	for name, row := range map[string]struct {
		sent   []byte
		config AgentConfig
		fine   bool
	}{
		"zeros":           {sent: make([]byte, 24)},
		"HTTP":            {sent: []byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n")},
		"TLS":             {sent: unhex("1603010200010001fc0303000000000000000000000000000000000000000000")},
		"ID only":         {sent: make([]byte, 16)},
		"straight":        {sent: straight},
		"straight, taken": {sent: straight, config: AgentConfig{StraightID: true}, fine: true},
		"swapped, taken":  {sent: request(1000, 2000), config: AgentConfig{StraightID: true}, fine: true},
	} {
		t.Run(name, func(t *testing.T) {
			conn := scripted(row.sent)
			_, err := Accept(t.Context(), conn, row.config)
			switch {
			case row.fine && err != nil:
				t.Error(err)
			case !row.fine && (!errors.Is(err, ErrProtocolID) || conn.out.Len() > 0 || !conn.closed):
				t.Errorf("%v, %d bytes, closed: %v", err, conn.out.Len(), conn.closed)
			}
		})
	}
	for i := range 16 {
		wrong := request(1000, 2000)
		wrong[i] ^= 0x20
		if _, err := Accept(t.Context(), scripted(wrong), AgentConfig{}); !errors.Is(err, ErrProtocolID) {
			t.Errorf("byte %d: %v", i, err)
		}
	}
}

func TestRequestCut(t *testing.T) {
	whole := request(1000, 2000)
	for n := range whole {
		conn := scripted(whole[:n])
		_, err := Accept(t.Context(), conn, AgentConfig{})
		want := io.ErrUnexpectedEOF
		if n == 0 {
			want = io.EOF
		}
		if !errors.Is(err, want) || conn.out.Len() > 0 || !conn.closed {
			t.Errorf("%d bytes: %v, %d bytes back, closed: %v", n, err, conn.out.Len(), conn.closed)
		}
	}
}

func TestReplyCut(t *testing.T) {
	for _, row := range goldenReplies {
		whole := unhex(row.wire)
		narrow := replySize(row.mode) + narrowSize
		for _, width := range []Width{WidthAuto, WidthWide, WidthNarrow} {
			for n := range len(whole) + 1 {
				conn := scripted(whole[:n])
				reply, err := Probe(t.Context(), conn, ClientConfig{Width: width})
				var want error
				switch {
				case n == 0:
					want = ErrNoReply
				case n < narrow, n == narrow && width == WidthWide, narrow < n && n < narrow+12 && width != WidthNarrow:
					want = io.ErrUnexpectedEOF
				}
				if !errors.Is(err, want) || (err == nil) != (want == nil) {
					t.Errorf("%s, width %d, %d of %d bytes: %v, wanted %v", row.mode, width, n, len(whole), err, want)
				}
				if err == nil && (reply.Slot != 2000 || reply.Version.Major != 51) {
					t.Errorf("%s, width %d, %d of %d bytes: %+v", row.mode, width, n, len(whole), reply)
				}
			}
		}
	}
}

// After either form, the messages begin where they should.
func TestReplyThenMessages(t *testing.T) {
	message := unhex("10000000030000000f433a5c496e65646f546d705c6f7472")
	for _, row := range goldenReplies {
		if row.mode != ModeNone {
			continue
		}
		c, err := Handshake(t.Context(), scripted(unhex(row.wire), message), ClientConfig{Width: row.width})
		if err != nil {
			t.Fatal(err)
		}
		m, err := c.Receive()
		if err != nil || m.Command != 3 || len(m.Data) != 16 {
			t.Errorf("%+v, %v", m, err)
		}
		if _, err := c.Receive(); err != io.EOF {
			t.Errorf("then %v", err)
		}
	}
}

// A client waits for the rest of a reply as long as it must, and for a rest that may not come no longer than Grace.
func TestGrace(t *testing.T) {
	whole := answer(2000, 51)
	for name, row := range map[string]struct {
		pieces []int // of the reply, each a second after the one before
		width  Width
		grace  time.Duration
		want   Width
		took   time.Duration
	}{
		"wide at once":           {[]int{21}, WidthAuto, 0, WidthWide, 0},
		"narrow":                 {[]int{9}, WidthAuto, 0, WidthNarrow, DefaultGrace},
		"narrow, forced":         {[]int{9}, WidthNarrow, 0, WidthNarrow, 0},
		"narrow, a longer grace": {[]int{9}, WidthAuto, 2 * time.Second, WidthNarrow, 2 * time.Second},
		"wide in pieces":         {[]int{3, 7, 11}, WidthAuto, 0, WidthWide, 2 * time.Second},
		"wide, late":             {[]int{9, 12}, WidthAuto, 2 * time.Second, WidthWide, time.Second},
		"wide, late, forced":     {[]int{9, 12}, WidthWide, 0, WidthWide, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				conn, w := newWire(t)
				go func() {
					w.hear(request(1000, 2000))
					rest := whole
					for i, n := range row.pieces {
						if i > 0 {
							time.Sleep(time.Second)
						}
						w.say(rest[:n])
						rest = rest[n:]
					}
				}()
				begin := time.Now()
				c, err := Handshake(t.Context(), conn, ClientConfig{Width: row.width, Grace: row.grace})
				if err != nil || c.Reply().Width != row.want || c.Protocol() != V2 {
					t.Fatalf("%+v, %v", c, err)
				}
				if took := time.Since(begin); took != row.took {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}

func TestModeRefused(t *testing.T) {
	options := map[Mode]Options{
		ModeNone: {}, ModeSSL: {Mode: ModeSSL, TLS: clientTLS(t)}, ModeAES: {Mode: ModeAES, Key: aKey(32)},
	}
	for _, row := range goldenReplies {
		for want, o := range options {
			if want == row.mode {
				continue
			}
			conn := scripted(unhex(row.wire))
			_, err := Handshake(t.Context(), conn, ClientConfig{Options: o})
			refusal, ok := errors.AsType[*ModeError](err)
			if !ok || *refusal != (ModeError{want, row.mode}) || !conn.closed || conn.out.Len() != RequestSize {
				t.Errorf("wanted %s, got %s: %v, %d bytes sent", want, row.mode, err, conn.out.Len())
			}
		}
	}
	for _, mode := range []byte{3, 4, 0x7f, 0x80, 0xff, 'S', 'H'} {
		wrong := append([]byte{mode}, answer(2000, 51)[1:]...)
		for want, o := range options {
			if _, err := Handshake(t.Context(), scripted(wrong), ClientConfig{Options: o}); !errors.Is(err, ErrProtocolID) {
				t.Errorf("wanted %s, got mode %d: %v", want, mode, err)
			}
		}
	}
}

func TestHandshakeTimeout(t *testing.T) {
	for name, row := range map[string]struct {
		say   []byte // by the peer, which then is silent
		agent bool
		mode  Mode
	}{
		"no request":          {nil, true, ModeNone},
		"part of the request": {request(1000, 2000)[:20], true, ModeNone},
		"no ClientHello":      {request(1000, 2000), true, ModeSSL},
		"no reply":            {nil, false, ModeNone},
		"part of the reply":   {answer(2000, 51)[:8], false, ModeNone},
		"part of the version": {answer(2000, 51)[:15], false, ModeNone},
		"no ServerHello":      {unhex(replyOf(ModeSSL)), false, ModeSSL},
	} {
		for _, timeout := range []time.Duration{0, time.Second} {
			t.Run(fmt.Sprintf("%s, %v", name, timeout), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					conn, w := newWire(t)
					go io.Copy(io.Discard, w.conn)
					go w.conn.Write(row.say)
					o := Options{Mode: row.mode, Timeout: timeout}
					begin := time.Now()
					err := silent(t, conn, o, row.agent)
					if !errors.Is(err, context.DeadlineExceeded) {
						t.Error(err)
					}
					want := timeout
					if want == 0 {
						want = DefaultTimeout
					}
					if took := time.Since(begin); took != want {
						t.Errorf("it took %v", took)
					}
				})
			})
		}
	}
}

func silent(t *testing.T, conn net.Conn, o Options, agent bool) (err error) {
	if agent {
		o.TLS = agentTLS(t)
		_, err = Accept(t.Context(), conn, AgentConfig{Options: o})
	} else {
		o.TLS = clientTLS(t)
		_, err = Handshake(t.Context(), conn, ClientConfig{Options: o})
	}
	return err
}

func TestHandshakeCancelled(t *testing.T) {
	for _, agent := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			conn, w := newWire(t)
			go io.Copy(io.Discard, w.conn)
			ctx, cancel := context.WithCancelCause(t.Context())
			cause := errors.New("shutting down")
			time.AfterFunc(time.Second, func() { cancel(cause) })
			var err error
			if agent {
				_, err = Accept(ctx, conn, AgentConfig{})
			} else {
				_, err = Handshake(ctx, conn, ClientConfig{})
			}
			if !errors.Is(err, cause) {
				t.Errorf("agent %v: %v", agent, err)
			}
			if _, err := conn.Write(nil); !errors.Is(err, io.ErrClosedPipe) {
				t.Errorf("agent %v: the connection is open (%v)", agent, err)
			}
		})
	}
}

// The timeout of the handshake does not outlive it.
func TestNoDeadlineAfterHandshake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		agent, client := pair(t, AgentConfig{}, ClientConfig{})
		go func() {
			time.Sleep(10 * DefaultTimeout)
			client.Send(7, nil)
		}()
		expect(t, agent, Message{Command: 7})
	})
}

func TestConfig(t *testing.T) {
	for name, o := range map[string]Options{
		"no such mode":      {Mode: 3},
		"negative mode":     {Mode: -1},
		"AES without a key": {Mode: ModeAES},
		"SSL without TLS":   {Mode: ModeSSL},
		"TLS 1.1":           {Mode: ModeSSL, TLS: &tls.Config{MinVersion: tls.VersionTLS11}},
		"min > max":         {MinProtocol: V2, MaxProtocol: V1},
		"no such protocol":  {MaxProtocol: 1500},
		"negative data":     {MaxData: -1},
		"negative timeout":  {Timeout: -time.Second},
	} {
		a, c := scripted(), scripted()
		_, agentErr := Accept(t.Context(), a, AgentConfig{Options: o})
		_, clientErr := Handshake(t.Context(), c, ClientConfig{Options: o})
		if !errors.Is(agentErr, ErrConfig) || !errors.Is(clientErr, ErrConfig) {
			t.Errorf("%s: %v, %v", name, agentErr, clientErr)
		}
		if !a.closed || !c.closed || a.out.Len()+c.out.Len() > 0 {
			t.Errorf("%s: closed: %v, %v", name, a.closed, c.closed)
		}
	}
}

func TestParseMode(t *testing.T) {
	for _, m := range []Mode{ModeNone, ModeSSL, ModeAES} {
		if got, err := ParseMode(m.String()); err != nil || got != m {
			t.Errorf("%s: %v, %v", m, got, err)
		}
	}
	for _, s := range []string{"", "SSL", "tls", "mode 3", "none "} {
		if got, err := ParseMode(s); !errors.Is(err, ErrConfig) {
			t.Errorf("%q: %v, %v", s, got, err)
		}
	}
}

func TestKey(t *testing.T) {
	digits := strings.Repeat("0aF9", 16)
	for _, n := range []int{32, 64} {
		key, err := ParseKey(digits[:n])
		if err != nil || key.IsZero() {
			t.Errorf("%d digits: %v", n, err)
		}
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			for _, value := range []any{key, Options{Key: key}} {
				if printed := strings.ToLower(fmt.Sprintf(verb, value)); strings.Contains(printed, "0af9") || strings.Contains(printed, "[10 249") {
					t.Errorf("%s prints %s", verb, printed)
				}
			}
		}
		if got, want := fmt.Sprint(key), fmt.Sprintf("AES-%d key", 4*n); got != want {
			t.Errorf("printed: %s", got)
		}
	}
	for _, s := range []string{
		"", "0", digits[:30], digits[:31], digits[:33], digits[:48], digits[:63], digits + "00",
		digits[:31] + "g", " " + digits[:31], digits[:32] + "\n", "0x" + digits[:30], digits[:31] + "-",
		strings.Repeat("0a:", 16), digits[:16] + " " + digits[:15],
	} {
		key, err := ParseKey(s)
		if !errors.Is(err, ErrKey) || !key.IsZero() {
			t.Errorf("%q: %v, %v", s, key, err)
		}
		if s != "" && len(s) > 8 && strings.Contains(err.Error(), s[1:8]) {
			t.Errorf("the error shows the text: %v", err)
		}
	}
}
