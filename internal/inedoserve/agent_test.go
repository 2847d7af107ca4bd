//go:build unix

package inedoserve

import (
	"encoding/binary"
	"errors"
	"io"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"jackfield/wire/inedo"
)

func TestRootPath(t *testing.T) {
	for name, m := range modes() {
		for _, protocol := range []inedo.Protocol{inedo.V1, inedo.V2} {
			t.Run(name+" "+map[inedo.Protocol]string{inedo.V1: "v1", inedo.V2: "v2"}[protocol], func(t *testing.T) {
				f := start(t, Options{Protocol: inedo.AgentConfig{Options: m.agent}, RootPath: "/srv/agent"})
				asked := m.client
				asked.MaxProtocol = protocol
				c := dial(t, f, inedo.ClientConfig{Options: asked})
				if c.Protocol() != protocol {
					t.Fatalf("the protocol is %d", c.Protocol())
				}
				c.send(t, inedo.CommandGetAgentRootPath, "") // malformed
				c.send(t, inedo.CommandGetAgentRootPath, "\x00")
				c.send(t, 4711, "whatever")
				var path inedo.AgentRootPath
				if err := inedo.Unmarshal([]byte(c.ask(t, inedo.CommandGetAgentRootPath, "\x01")), &path); err != nil || path.Path != "/srv/agent" {
					t.Errorf("%+v, %v", path, err)
				}
				f.log.await(t, "a malformed question", 2)
				f.log.await(t, `command=4711 bytes=8`, 1)
				if strings.Contains(f.log.String(), "whatever") {
					t.Error("data were logged")
				}
			})
		}
	}
}

// What cannot be decrypted, what nobody knows and what is malformed all do nothing.
func TestAESShowsNothing(t *testing.T) {
	m := modes()["aes"]
	f := start(t, Options{Protocol: inedo.AgentConfig{Options: m.agent}, RootPath: "/srv", LogData: true})
	c := dial(t, f, inedo.ClientConfig{Options: m.client})
	for range 10 {
		c.tcp.corrupt = true
		c.send(t, inedo.CommandGetAgentRootPath, "\x01") // its padding is destroyed
		c.tcp.corrupt = false
		c.send(t, 4711, "unknown")
		c.send(t, inedo.CommandUpdateAgent, "malformed")
		if got := c.ask(t, inedo.CommandGetAgentRootPath, "\x01"); got != "\x04/srv" {
			t.Fatalf("%q", got)
		}
	}
	f.log.await(t, "cannot be decrypted", 10)
	if strings.Contains(f.log.String(), keyText) {
		t.Error("the key was logged")
	}
}

func TestUpdateIsRefused(t *testing.T) {
	update := func(name string) string {
		data, err := inedo.Marshal(inedo.UpdateAgent{
			Type:       inedo.Otter,
			Assemblies: []inedo.UpdateFile{{Name: name, Modified: time.Unix(1, 0), Content: []byte("code that would run")}},
		})
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	f := start(t, Options{RootPath: "/srv"})
	c := dial(t, f, inedo.ClientConfig{})
	c.send(t, inedo.CommandUpdateAgent, update("Otter.dll"))
	c.send(t, inedo.CommandUpdateAgent, update("../../Otter.dll"))
	c.send(t, inedo.CommandUpdateAgent, update("Otter.dll")[:30])
	c.ask(t, inedo.CommandGetAgentRootPath, "\x01")
	f.log.await(t, "assembly=Otter.dll size=19", 1)
	f.log.await(t, "malformed update", 2)
	f.log.await(t, `msg="update refused" connection=1 `, 2) // the file, and the whole
}

func TestStrangersGetNoByte(t *testing.T) {
	swapped := "\x4e\xd2\xeb\x6c\xf7\x4a\x13\x4a\xb9\xaf\x81\xd3\xdf\xc6\x44\xbe"
	straight := "\x6c\xeb\xd2\x4e\x4a\xf7\x4a\x13\xb9\xaf\x81\xd3\xdf\xc6\x44\xbe"
	for name, test := range map[string]struct {
		request string
		allowed []netip.Prefix
		logged  string
	}{
		"wrong ID":            {"GET / HTTP/1.1\r\nHost: agent\r\n\r\n", nil, "not the Inedo Agent protocol"},
		"straight ID":         {straight + "\xe8\x03\x00\x00\xd0\x07\x00\x00", nil, "not the Inedo Agent protocol"},
		"versions of nobody":  {swapped + "\xb8\x0b\x00\x00\xa0\x0f\x00\x00", nil, "no protocol version"},
		"address not allowed": {swapped + "\xe8\x03\x00\x00\xd0\x07\x00\x00", []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, "not allowed"},
		"silence":             {"", nil, "deadline exceeded"},
		"cut":                 {swapped[:7], nil, "deadline exceeded"},
	} {
		t.Run(name, func(t *testing.T) {
			o := Options{Allowed: test.allowed}
			if test.logged == "deadline exceeded" {
				o.Protocol.Timeout = 300 * time.Millisecond
			}
			f := start(t, o)
			conn := dialTCP(t, f)
			io.WriteString(conn, test.request)
			if got, err := io.ReadAll(conn); len(got) > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("got %q, %v", got, err)
			}
			f.log.await(t, test.logged, 1)
		})
	}
}

func TestAllowed(t *testing.T) {
	f := start(t, Options{RootPath: "/srv", Allowed: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	dial(t, f, inedo.ClientConfig{}).ask(t, inedo.CommandGetAgentRootPath, "\x02")
}

// One who says nothing keeps others waiting only if there is no more room for handshakes, and not for longer than he may.
func TestHandshakesAreBounded(t *testing.T) {
	f := start(t, Options{RootPath: "/srv", MaxHandshakes: 1})
	silent := dialTCP(t, f)
	io.WriteString(silent, "\x4e")
	impatient := inedo.ClientConfig{Options: inedo.Options{Timeout: 200 * time.Millisecond}}
	if _, err := inedo.Handshake(t.Context(), dialTCP(t, f), impatient); err == nil {
		t.Fatal("two handshakes at once")
	}
	silent.Close()
	c := dial(t, f, inedo.ClientConfig{})
	c.ask(t, inedo.CommandGetAgentRootPath, "\x01")
	dial(t, f, inedo.ClientConfig{}).ask(t, inedo.CommandGetAgentRootPath, "\x01") // the first takes no room any more
}

func TestMessagesOfImpossibleLength(t *testing.T) {
	for name, length := range map[string]int32{"negative": -1, "2 GiB": 1<<31 - 1, "one too many": 1001} {
		t.Run(name, func(t *testing.T) {
			o := Options{}
			o.Protocol.MaxData = 1000
			f := start(t, o)
			c := dial(t, f, inedo.ClientConfig{})
			binary.Write(c.tcp.Conn, binary.LittleEndian, []int32{length, 3})
			if _, err := c.Receive(); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("the connection goes on: %v", err)
			}
			f.log.await(t, "impossible length", 1)
		})
	}
}

func TestStopEndsConnections(t *testing.T) {
	for name, m := range modes() {
		t.Run(name, func(t *testing.T) {
			f := start(t, Options{Protocol: inedo.AgentConfig{Options: m.agent}, RootPath: "/srv"})
			c := dial(t, f, inedo.ClientConfig{Options: m.client})
			c.ask(t, inedo.CommandGetAgentRootPath, "\x01")
			silent := dialTCP(t, f)
			f.stop()
			if got, err := io.ReadAll(silent); len(got) > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("one without a handshake got %q, %v", got, err)
			}
			if _, err := c.Receive(); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("the connection goes on: %v", err)
			}
		})
	}
}
