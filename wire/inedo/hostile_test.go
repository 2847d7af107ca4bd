package inedo

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"os"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

// agentReading is an agent that has accepted a client of V2, which then says the given bytes and ends.
func agentReading(t testing.TB, o Options, said ...[]byte) *Conn {
	t.Helper()
	c, err := Accept(t.Context(), scripted(append([][]byte{request(1000, 2000)}, said...)...), AgentConfig{Options: o})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func length(n int32) []byte { return binary.LittleEndian.AppendUint32(nil, uint32(n)) }

func TestClearLengths(t *testing.T) {
	for name, row := range map[string]struct {
		length int32
		max    int
		err    error // ErrLength, or that of the end that follows the length
	}{
		"negative":          {-1, 0, ErrLength},
		"least":             {math.MinInt32, 0, ErrLength},
		"2 GiB":             {math.MaxInt32, 0, ErrLength},
		"the largest":       {DefaultMaxData, 0, io.ErrUnexpectedEOF},
		"too large by one":  {DefaultMaxData + 1, 0, ErrLength},
		"a smaller maximum": {11, 10, ErrLength},
		"the same, met":     {10, 10, io.ErrUnexpectedEOF},
		"a larger maximum":  {LargestMaxData, LargestMaxData, io.ErrUnexpectedEOF},
		"zero":              {0, 0, io.ErrUnexpectedEOF},
	} {
		t.Run(name, func(t *testing.T) {
			c := agentReading(t, Options{MaxData: row.max}, length(row.length))
			for range 2 { // it sticks
				if m, err := c.Receive(); !errors.Is(err, row.err) {
					t.Errorf("%+v, %v", m, err)
				}
			}
		})
	}
}

func TestEncryptedLengths(t *testing.T) {
	for name, row := range map[string]struct {
		length int32
		err    error
	}{
		"negative":            {-32, ErrLength},
		"least":               {math.MinInt32, ErrLength},
		"2 GiB":               {math.MaxInt32, ErrLength},
		"2 GiB, whole blocks": {math.MaxInt32 - 15, ErrLength},
		"zero":                {0, ErrLength},
		"one block":           {16, ErrLength},
		"no whole blocks":     {33, ErrLength},
		"two blocks":          {32, io.ErrUnexpectedEOF},
		"the largest":         {DefaultMaxData + 32, io.ErrUnexpectedEOF},
		"too large":           {DefaultMaxData + 48, ErrLength},
	} {
		t.Run(name, func(t *testing.T) {
			c := agentReading(t, Options{Mode: ModeAES, Key: aKey(32)}, length(row.length))
			for range 2 {
				if m, err := c.Receive(); !errors.Is(err, row.err) {
					t.Errorf("%+v, %v", m, err)
				}
			}
		})
	}
}

// The longest message passes in every mode; one byte more is not sent, and the connection goes on.
func TestLongest(t *testing.T) {
	const most = 100 << 10
	for name, o := range everyMode(t) {
		t.Run(name, func(t *testing.T) {
			o.MaxData = most
			agent, client := pair(t, AgentConfig{Options: o}, ClientConfig{Options: o})
			data := bytes.Repeat([]byte("0123456789"), most/10+1)
			sent := make(chan error, 2)
			go func() {
				sent <- client.Send(1, data[:most+1])
				sent <- client.Send(2, data[:most])
			}()
			expect(t, agent, Message{Command: 2, Data: data[:most]})
			if err := <-sent; !errors.Is(err, ErrLength) {
				t.Error(err)
			}
			if err := <-sent; err != nil {
				t.Error(err)
			}
		})
	}
}

// A message that is announced and does not come costs little.
func TestAnnouncedOnly(t *testing.T) {
	for name, o := range map[string]Options{"clear": {}, "AES": {Mode: ModeAES, Key: aKey(16)}} {
		t.Run(name, func(t *testing.T) {
			c := agentReading(t, o, length(DefaultMaxData), make([]byte, 100))
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			if _, err := c.Receive(); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Error(err)
			}
			runtime.ReadMemStats(&after)
			if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
				t.Errorf("%d bytes were set aside", n)
			}
		})
	}
}

// A connection that ends within a message says so, wherever that is; between two it ends in order.
func TestMessageCut(t *testing.T) {
	for name, o := range map[string]Options{"clear": {}, "AES": {Mode: ModeAES, Key: aKey(32), random: zeros{}}} {
		t.Run(name, func(t *testing.T) {
			whole := messagesOf(t, o, Message{Command: 1, Data: []byte("hello")})
			for n := range len(whole) + 1 {
				c := agentReading(t, o, whole, whole[:n])
				expect(t, c, Message{Command: 1, Data: []byte("hello")})
				var want error = io.ErrUnexpectedEOF
				switch n {
				case 0:
					want = io.EOF
				case len(whole):
					want = nil
				}
				if m, err := c.Receive(); err != want {
					t.Errorf("%d bytes: %+v, %v, wanted %v", n, m, err, want)
				}
			}
		})
	}
}

// zeros are vectors for tests that keep a recorded message.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// messagesOf are the bytes of a client that sends the given messages.
func messagesOf(t testing.TB, o Options, messages ...Message) []byte {
	t.Helper()
	o, err := o.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	var w writer
	w.start(o, Reply{}, false)
	var wire bytes.Buffer
	for _, m := range messages {
		if err := w.send(&wire, m); err != nil {
			t.Fatal(err)
		}
	}
	return wire.Bytes()
}

func TestWrongKey(t *testing.T) {
	agent := Options{Mode: ModeAES, Key: aKey(32), random: zeros{}}
	refused := 0
	const tries = 400
	for i := range tries {
		client := agent
		key, err := ParseKey("00000000000000000000000000000000000000000000000000000000" + string([]byte{
			"0123456789abcdef"[i>>4&15], "0123456789abcdef"[i&15], "0123456789abcdef"[i>>8&15]}) + "fffff")
		if err != nil {
			t.Fatal(err)
		}
		client.Key = key
		c := agentReading(t, agent, messagesOf(t, client, Message{Command: 3, Data: []byte{1}}))
		switch m, err := c.Receive(); {
		case err == ErrDecrypt:
			refused++
		case err != nil:
			t.Fatal(err)
		case m.Command == 3 && bytes.Equal(m.Data, []byte{1}):
			t.Error("the wrong key was right")
		}
	}
	if refused < tries*95/100 { // of 256, 255 have no valid padding
		t.Errorf("%d of %d were refused", refused, tries)
	}
}

// Whatever bit is changed, the answer is one of a few, and none of them tells why.
func TestBitFlips(t *testing.T) {
	o := Options{Mode: ModeAES, Key: aKey(32), random: zeros{}}
	original := Message{Command: 3, Data: []byte("thirty bytes, three blocks all")}
	whole := messagesOf(t, o, original)
	next := messagesOf(t, o, original, original)[len(whole):]
	seen := make(map[error]int)
	for i := range whole {
		for bit := range 8 {
			flipped := bytes.Clone(whole)
			flipped[i] ^= 1 << bit
			c := agentReading(t, o, flipped, next)
			m, err := c.Receive()
			switch {
			case i < lengthSize:
				if !errors.Is(err, ErrLength) && err != io.ErrUnexpectedEOF && err != ErrDecrypt && err != nil {
					t.Fatalf("byte %d, bit %d: %v", i, bit, err)
				}
				continue
			case err == nil && m.Command == original.Command && bytes.Equal(m.Data, original.Data):
				t.Errorf("byte %d, bit %d made no difference", i, bit)
			case err != nil && err != ErrDecrypt:
				t.Fatalf("byte %d, bit %d: %v", i, bit, err)
			}
			seen[err]++
			expect(t, c, original) // the next message is read all the same
		}
	}
	if seen[nil] == 0 || seen[ErrDecrypt] == 0 {
		t.Errorf("seen: %v; CBC gives both", seen)
	}
}

// Every plaintext of two blocks is accepted or refused as a plain reading of PKCS#7 has it.
func TestUnpad(t *testing.T) {
	const least = 20
	for last := range 256 {
		for wrong := range 33 { // which byte differs from the padding, counted from the end; 32: none
			padded := bytes.Repeat([]byte{byte(last)}, 32)
			if wrong < 32 {
				padded[31-wrong] ^= 0x40
			}
			n, ok := unpad(padded, least)
			wantN, wantOK := plainUnpad(padded, least)
			if ok != wantOK || ok == 1 && n != wantN {
				t.Fatalf("%x: %d, %d; wanted %d, %d", padded, n, ok, wantN, wantOK)
			}
		}
	}
}

func plainUnpad(padded []byte, least int) (n, ok int) {
	padding := int(padded[len(padded)-1])
	if padding < 1 || padding > 16 || len(padded)-padding < least {
		return 0, 0
	}
	for _, b := range padded[len(padded)-padding:] {
		if int(b) != padding {
			return 0, 0
		}
	}
	return len(padded) - padding, 1
}

// Nothing protects from a message that was recorded; the documentation says so.
func TestReplayIsAccepted(t *testing.T) {
	o := Options{Mode: ModeAES, Key: aKey(16)}
	recorded := messagesOf(t, o, Message{Command: 3, Data: []byte{1}})
	for range 2 {
		c := agentReading(t, o, recorded, recorded)
		expect(t, c, Message{Command: 3, Data: []byte{1}})
		expect(t, c, Message{Command: 3, Data: []byte{1}})
	}
}

// Vectors are not repeated.
func TestFreshVectors(t *testing.T) {
	o := Options{Mode: ModeAES, Key: aKey(16)}
	seen := make(map[string]bool)
	for range 50 {
		c := agentReading(t, o)
		iv := c.Reply().IV
		seen[string(iv[:])] = true
		wire := messagesOf(t, o, Message{}, Message{}, Message{})
		for message := range bytes.SplitSeq(wire, length(32)) {
			if len(message) == 32 {
				seen[string(message[:16])] = true
			}
		}
	}
	if len(seen) < 195 { // a block may hold the length by chance
		t.Errorf("%d of 200 differ", len(seen))
	}
}

// A deadline between two messages is no end; one within a message is.
func TestReadDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		agent, client := pair(t, AgentConfig{}, ClientConfig{})
		agent.SetReadDeadline(time.Now().Add(time.Second))
		if _, err := agent.Receive(); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
		agent.SetReadDeadline(time.Time{})
		go client.Send(5, []byte("x"))
		expect(t, agent, Message{Command: 5, Data: []byte("x")})

		raw, err := client.Raw()
		if err != nil {
			t.Fatal(err)
		}
		go raw.Write([]byte{1, 0})
		agent.SetReadDeadline(time.Now().Add(time.Second))
		for range 2 {
			if _, err := agent.Receive(); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatal(err)
			}
			agent.SetReadDeadline(time.Time{})
		}
	})
}

// After a write that failed, nothing more is written: the peer would take it for the rest of a message.
func TestWriteErrorSticks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		agent, client := pair(t, AgentConfig{}, ClientConfig{})
		client.SetWriteDeadline(time.Now().Add(time.Second))
		if err := client.Send(1, nil); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
		client.SetWriteDeadline(time.Time{})
		go io.Copy(io.Discard, must(agent.Raw()))
		if err := client.Send(2, nil); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(err)
		}
	})
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
