package https

import (
	"bufio"
	"io"
	"sync"
	"testing"

	"golang.org/x/net/http2"

	"jackfield"
)

func connectBlock(target string) []byte {
	return encode([]string{":method", "CONNECT", ":authority", target, "proxy-authorization", bearer(token)})
}

// A client that opens streams and resets them at once is closed, and leaves no session behind: neither of a service that
// answers nor of one that never does.
func TestFloodOfTunnels(t *testing.T) {
	for _, target := range []string{"wired:1", "never-opening:1", "missing:1"} {
		t.Run(target, func(t *testing.T) {
			l := startLab(t, false, nil)
			conn := l.dialTLS(protocolH2)
			framer := beginH2(t, conn)
			var flood sync.WaitGroup
			flood.Go(func() {
				buffered := bufio.NewWriter(conn)
				framer := http2.NewFramer(buffered, nil)
				for stream := uint32(1); stream < 4000; stream += 2 {
					framer.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: connectBlock(target), EndHeaders: true})
					framer.WriteRSTStream(stream, http2.ErrCodeCancel)
					if buffered.Flush() != nil {
						return
					}
				}
				framer.WritePing(false, [8]byte{})
				buffered.Flush()
			})
			over := make(chan struct{})
			var ending sync.WaitGroup
			ending.Go(func() { // the services' ends, so that none runs out
				for {
					select {
					case s := <-l.serve:
						s.Close()
					case <-over:
						return
					}
				}
			})
			for {
				frame, err := framer.ReadFrame()
				if err != nil {
					break
				}
				if away, ok := frame.(*http2.GoAwayFrame); ok && away.ErrCode == http2.ErrCodeEnhanceYourCalm {
					break
				}
				if ping, ok := frame.(*http2.PingFrame); ok && ping.IsAck() { // the handlers were as quick
					break
				}
			}
			conn.Close()
			flood.Wait()
			await(t, "no session is left", func() bool { return l.sessions.Len() == 0 && l.connections() == 0 })
			close(over) // and not l.serve: a handler that had not begun is a late session
			ending.Wait()
			l.stillServes()
		})
	}
}

// The streams of one connection have each their own pace: one whose client takes nothing does not hold up another.
func TestTunnelsHaveTheirOwnPace(t *testing.T) {
	l := startLab(t, false, nil)
	client := l.client(true)
	client.Timeout = 0
	slow := l.connectBy(client, "wired:1", bearer(token))
	var sending sync.WaitGroup
	service := l.service()
	sending.Go(func() { io.Copy(service, endless{}) })
	await(t, "the slow one is full", l.stalled)
	quick := l.connectBy(client, "wired:1", bearer(token))
	other := l.service()
	for range 100 {
		pass(t, quick, other, "there")
		pass(t, other, quick, "and back")
	}
	if n := l.connections(); n != 1 {
		t.Errorf("%d connections are open, want one", n)
	}
	slow.reset()
	sending.Wait()
	l.ends(jackfield.EndClientReset)
	pass(t, quick, other, "still there")
	quick.CloseWrite()
	expectEnd(t, other)
	other.Close()
	expectEnd(t, quick)
	l.ends(jackfield.EndFinished)
}

// A connection that breaks ends all of its streams.
func TestLostConnectionEndsItsTunnels(t *testing.T) {
	l := startLab(t, false, nil)
	conn := l.dialTLS(protocolH2)
	framer := beginH2(t, conn)
	const streams = 20
	for i := range uint32(streams) {
		framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 2*i + 1, BlockFragment: connectBlock("wired:1"), EndHeaders: true})
	}
	var services []jackfield.Stream
	for range streams {
		services = append(services, l.service())
	}
	conn.NetConn().Close()
	for _, service := range services {
		expectBreak(t, service)
		l.ends(jackfield.EndClientReset)
	}
}

// What the configuration's end does not touch goes on; what the server's end does is told.
func TestTunnelsAndTheirListener(t *testing.T) {
	eachDialect(t, func(t *testing.T, l *lab, connect func(target, authorization string) *joined) {
		client := connect("wired:1", bearer(token))
		service := l.service()
		var closing sync.WaitGroup
		closing.Go(l.Handler.Close)
		await(t, "the generation retires", func() bool { return l.retired.Err() != nil })
		pass(t, client, service, "going on")
		pass(t, service, client, "as before")
		l.stop()
		expectBreak(t, client)
		expectBreak(t, service)
		l.ends("context canceled") // a server gives its context a cause with words
		closing.Wait()
	})
}

// A client that does not take the little that it is told is left alone.
func TestRefusalWithoutWindow(t *testing.T) {
	t.Parallel() // it takes as long as an answer may
	l := startLab(t, false, nil)
	conn := l.dialTLS(protocolH2)
	framer := beginH2(t, conn)
	framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: connectBlock("missing:1"), EndHeaders: true})
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if reset, ok := frame.(*http2.RSTStreamFrame); ok && reset.StreamID == 1 {
			return
		}
	}
}
