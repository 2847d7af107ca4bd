package inedo

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"
)

// FuzzAccept: whatever a client sends, an agent answers in order or not at all, and the connection is closed on an error.
func FuzzAccept(f *testing.F) {
	f.Add(unhex(requestV2), false, false)
	f.Add(unhex(requestV1), false, true)
	f.Add(request(2000, 1000), true, false)
	f.Add(append(unhex(requestV2), unhex("010000000300000001")...), true, true)
	f.Add([]byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), false, false)
	f.Fuzz(func(t *testing.T, said []byte, exact, straight bool) {
		conn := scripted(said)
		c, err := Accept(t.Context(), conn, AgentConfig{ExactRequest: exact, StraightID: straight})
		if err != nil {
			if conn.out.Len() > 0 || !conn.closed {
				t.Fatalf("%v: %d bytes, closed: %v", err, conn.out.Len(), conn.closed)
			}
			return
		}
		first, last := int32(binary.LittleEndian.Uint32(said[16:])), int32(binary.LittleEndian.Uint32(said[20:]))
		if first < 1000 || first > 2000 || c.Protocol() == V1 && first != 1000 || c.Protocol() == V2 && last < 2000 {
			t.Fatalf("%d, %d: %d", first, last, c.Protocol())
		}
		if conn.out.Len() != 21 || conn.closed || conn.in.Len() != len(said)-requestSize {
			t.Fatalf("%d bytes back, closed: %v, %d unread", conn.out.Len(), conn.closed, conn.in.Len())
		}
		for err == nil {
			_, err = c.Receive()
		}
	})
}

// FuzzReply: whatever an agent replies, a client reads no more than the reply, and what it has read is what would be sent.
func FuzzReply(f *testing.F) {
	for _, row := range goldenReplies {
		f.Add(unhex(row.wire), uint8(row.width))
		f.Add(append(unhex(row.wire), "more"...), uint8(WidthAuto))
	}
	f.Add([]byte("SSH-2.0-OpenSSH_9.2p1\r\n"), uint8(WidthAuto))
	f.Fuzz(func(t *testing.T, said []byte, width uint8) {
		conn := scripted(said)
		reply, err := Probe(t.Context(), conn, ClientConfig{Width: Width(width % 3)})
		if err != nil {
			return
		}
		wire := reply.marshal()
		if !bytes.HasPrefix(said, wire) || conn.in.Len() != len(said)-len(wire) {
			t.Fatalf("%x was read from %x", wire, said)
		}
	})
}

// FuzzReceive: whatever is sent under any mode, it is messages within their limits, until it is an error that sticks.
func FuzzReceive(f *testing.F) {
	for _, row := range goldenTalk {
		for _, m := range row.client {
			f.Add(unhex(m), row.mode == ModeAES, row.protocol == V1)
		}
	}
	f.Add(length(-1), false, false)
	f.Add(append(length(48), make([]byte, 100)...), true, false)
	f.Fuzz(func(t *testing.T, said []byte, encrypted, typed bool) {
		const most = 64
		o := must(Options{MaxData: most, Key: aKey(32), Mode: map[bool]Mode{true: ModeAES}[encrypted]}.withDefaults())
		var r reader
		r.start(o, Reply{IV: [ivSize]byte(goldenIV.reply)}, typed)
		conn := bytes.NewReader(said)
		for {
			before := conn.Len()
			m, err := r.receive(conn)
			if err == ErrDecrypt {
				continue
			}
			if err != nil {
				if _, again := r.receive(conn); again != err {
					t.Fatalf("%v, then %v", err, again)
				}
				return
			}
			if len(m.Data) > most+16 || !encrypted && (len(m.Data) > most || before-conn.Len() != lengthSize+headSize(typed)+len(m.Data)) {
				t.Fatalf("%d bytes of data in %d", len(m.Data), before-conn.Len())
			}
		}
	})
}

// FuzzUnpad compares with a plain reading of PKCS#7.
func FuzzUnpad(f *testing.F) {
	f.Add(bytes.Repeat([]byte{12}, 32), uint8(20))
	f.Add(bytes.Repeat([]byte{16}, 48), uint8(21))
	f.Fuzz(func(t *testing.T, padded []byte, least uint8) {
		if padded = padded[:len(padded)/16*16]; len(padded) < 32 {
			return
		}
		n, ok := unpad(padded, int(least))
		if wantN, want := plainUnpad(padded, int(least)); ok != want || ok == 1 && n != wantN {
			t.Fatalf("%d, %d; wanted %d, %d", n, ok, wantN, want)
		}
	})
}

// FuzzData: whatever is decoded was there, and encodes to itself where there is only one form.
func FuzzData(f *testing.F) {
	f.Add(unhex("0f433a5c496e65646f546d705c6f7472"))
	f.Add(unhex("818080800061"))
	f.Add(unhex("0080b5f7f57f9f08ff3f37f47528ca2b"))
	f.Add(unhex("03000000616263"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var e Encoder
		d := NewDecoder(data)
		switch s := d.Text(); {
		case d.Err() == nil && !bytes.HasSuffix(data[:len(data)-len(d.Rest())], []byte(s)):
			t.Fatalf("%q was not there", s)
		case d.Err() != nil && !errors.Is(d.Err(), ErrData):
			t.Fatal(d.Err())
		}
		d = NewDecoder(data)
		if at := d.Time(); d.Err() == nil {
			if e.Time(at); !bytes.HasPrefix(data, e.buf) || e.err != nil {
				t.Fatalf("%v: %x, %v", at, e.buf, e.err)
			}
		}
		e = Encoder{}
		d = NewDecoder(data)
		if b, g := d.Bytes(), d.GUID(); d.Err() == nil {
			e.Bytes(b)
			if e.GUID(g); !bytes.HasPrefix(data, e.buf) || e.err != nil {
				t.Fatalf("%x, %v: %x, %v", b, g, e.buf, e.err)
			}
		}
		d = NewDecoder(data)
		if n := d.Count(13); n > len(data)/13 {
			t.Fatalf("%d items in %d bytes", n, len(data))
		}
	})
}

// FuzzMeta: what is decoded is within the rules, and encodes to something that decodes to the same.
func FuzzMeta(f *testing.F) {
	f.Add(must(Marshal(anUpdate())))
	f.Add(must(Marshal(UpdateAgent{})))
	f.Add([]byte{2})
	f.Add(unhex("0f433a5c496e65646f546d705c6f7472"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var update, again UpdateAgent
		if Unmarshal(data, &update) == nil {
			for _, file := range append(update.Assemblies, update.Extensions...) {
				if err := CheckFileName(file.Name); err != nil {
					t.Fatal(err)
				}
			}
			if err := Unmarshal(must(Marshal(update)), &again); err != nil || !sameUpdate(update, again) {
				t.Fatalf("%+v became %+v, %v", update, again, err)
			}
		}
		var path AgentRootPath
		if Unmarshal(data, &path) == nil && !bytes.Contains(data, []byte(path.Path)) {
			t.Fatalf("%q was not there", path.Path)
		}
		var ask GetAgentRootPath
		if Unmarshal(data, &ask) == nil && (ask.Type < Otter || ask.Type > Hedgehog) {
			t.Fatalf("%v", ask.Type)
		}
	})
}
