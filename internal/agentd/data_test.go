package agentd

import (
	"io"
	"testing"

	"jackfield"
	"jackfield/internal/link/control"
)

// Over TLS, streams that end in order use the same connections one after the other, whoever has dialled them; others do not.
func TestConnectionsAreUsedAgain(t *testing.T) {
	for name, join := range map[string]func(*testing.T, *house, Offer){
		"outbound": func(t *testing.T, h *house, offer Offer) { h.join(t, "pi", h.options(), offer) },
		"inbound, ssl": func(t *testing.T, h *house, offer Offer) {
			h.keep(h.inbound(t, "ssl", h.options(), offer, nil))
			h.await(t, "pi", offer)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			s := newService(t)
			join(t, h, Offer{Services: []Service{s.offered("it")}})
			ready := func(n int) {
				t.Helper()
				eventually(t, "connections that are ready", func() bool { return h.agents.Link("pi").State().Ready == n })
			}
			client, far := h.joined(t, s)
			ready(1) // which was asked for ahead
			exchange(t, client, far)
			ready(2)
			for range 20 {
				client, far := h.joined(t, s)
				exchange(t, client, far)
				ready(2)
			}
			client, far = h.joined(t, s)
			reset(far)
			expectReset(t, client)
			client.Close()
			ready(1)
		})
	}
}

// exchange has each side say something and end its direction.
func exchange(t *testing.T, client, service jackfield.Stream) {
	t.Helper()
	io.WriteString(client, "question")
	if err := client.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if question, err := io.ReadAll(service); err != nil || string(question) != "question" {
		t.Fatalf("%q, %v", question, err)
	}
	io.WriteString(service, "answer")
	service.CloseWrite()
	if answer, err := io.ReadAll(client); err != nil || string(answer) != "answer" {
		t.Fatalf("%q, %v", answer, err)
	}
	client.Close()
}

// A refusal does not cost the connection.
func TestConnectionAfterRefusal(t *testing.T) {
	h := newHouse(t)
	echo := newService(t).echo()
	h.join(t, "pi", h.options(), Offer{Services: []Service{echo.offered("echo")}})
	for range 20 {
		if _, err := h.tryOpen(t, "pi", control.Open{Service: "other"}); jackfield.AsError(err).Kind != jackfield.NotFound {
			t.Fatal(err)
		}
		eventually(t, "two connections that are ready", func() bool { return h.agents.Link("pi").State().Ready == 2 })
	}
	ask(t, h.open(t, "pi", control.Open{Service: "echo"}), "hello")
}
