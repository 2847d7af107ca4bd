package inedo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

func request(first, last int32) []byte { return versions{first, last}.marshal() }

// answer is a wide reply without encryption.
func answer(slot, major int32) []byte {
	return Reply{Slot: slot, Version: Version{Major: major}, Width: WidthWide}.marshal()
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
			if !ok || *refusal != (ModeError{want, row.mode}) || !conn.closed || conn.out.Len() != requestSize {
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
