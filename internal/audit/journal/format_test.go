package journal

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"testing"
	"time"
)

func TestParseLine(t *testing.T) {
	const text = `{"event":"close","time":"2026-01-01T00:00:00.500Z","id":"k3vq-1-a","listener":"mux","source":"192.0.2.7:4711",` +
		`"user":"ada","service":"console.fpga-1","end":"finished","new":{"a":[1]}}`
	got, ok := parseLine([]byte(text))
	want := Record{
		Event: "close", Time: time.Date(2026, 1, 1, 0, 0, 0, 5e8, time.UTC), ID: "k3vq-1-a", Listener: "mux",
		Source: netip.MustParseAddrPort("192.0.2.7:4711"), User: "ada", Service: "console.fpga-1", End: "finished",
	}
	if string(got.Line) != text {
		t.Errorf("line %s", got.Line)
	}
	got.Line = nil
	if !ok || !got.Time.Equal(want.Time) || got.Event != want.Event || got.ID != want.ID || got.Listener != want.Listener ||
		got.Source != want.Source || got.User != want.User || got.Service != want.Service || got.End != want.End {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestDamagedLines(t *testing.T) {
	for _, text := range []string{
		``, `null`, `[]`, `"x"`, `{}`, `{"event":"open"}`, `{"time":"2026-01-01T00:00:00Z"}`, `{"event":"open","time":"yesterday"}`,
		`{"event":1,"time":"2026-01-01T00:00:00Z"}`, `{"event":"open","time":"2026-01-01T00:00:00Z"`, "\xff", "\x00\x00",
	} {
		if r, ok := parseLine([]byte(text)); ok {
			t.Errorf("%q is read as %+v", text, r)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte("{\"server\":\"k3vq\"}\n" + line(1) + "\n" + line(2) + "\n"))
	f.Add([]byte("{\"server\":\"k3vq\"}\n{\n\n\x00"))
	f.Add([]byte("{}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, lines, ok := decode(data)
		if !ok {
			return
		}
		rest := data[bytes.IndexByte(data, '\n')+1:]
		if again := bytes.Join(lines, []byte("\n")); !bytes.Equal(again, bytes.TrimSuffix(rest, []byte("\n"))) {
			t.Errorf("%q is read as lines %q", data, lines)
		}
		for _, line := range lines {
			r, ok := parseLine(line)
			if !ok {
				continue
			}
			if !json.Valid(r.Line) || r.Event == "" || r.Time.IsZero() {
				t.Errorf("%q is read as %+v", line, r)
			}
			everything := Filter{Text: "x", Service: "*"}
			everything.matches(&r)
		}
	})
}
