package mihini

import (
	"testing"
	"testing/synctest"
	"time"
)

// The three closing cases of the Mihini document, figure 5.

func TestClientCloses(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPair(t, ServerOptions{}, DeviceOptions{Options: Options{Strict: true}})
		defer p.stop()
		client, service := p.open()
		must(t, client.Close())
		hearEnd(t, service)
		synctest.Wait()
		if n := p.server.Stats().Open + p.device.Stats().Open; n != 0 {
			t.Errorf("%d ends of the stream are open", n)
		}
	})
}

func TestServiceCloses(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPair(t, ServerOptions{}, DeviceOptions{})
		defer p.stop()
		client, service := p.open()
		say(t, service, client, "bye")
		must(t, service.Close())
		hearEnd(t, client)
		synctest.Wait()
		if n := p.server.Stats().Open + p.device.Stats().Open; n != 0 {
			t.Errorf("%d ends of the stream are open", n)
		}
	})
}

func TestLinkSevered(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPair(t, ServerOptions{}, DeviceOptions{})
		var clients []*Stream
		var services []*memConn
		for range 5 {
			client, service := p.open()
			clients, services = append(clients, client), append(services, service)
		}
		p.link.sever()
		p.over.Wait()
		for i := range clients {
			hearError(t, clients[i], ErrLinkLost)
			if _, err := clients[i].Write([]byte("x")); err == nil {
				t.Error("written to a lost link")
			}
			hearEnd(t, services[i])
			clients[i].Close()
		}
		if _, err := p.server.Open(t.Context(), Target{"a", 1}); err == nil {
			t.Error("opened on a lost link")
		}
		p.stop()
	})
}

// What the server's side of a half-close does, as the device sees it. At the start the client has said "request" and
// ended its direction, and the device has got "request".
func TestHalfCloseOfServer(t *testing.T) {
	start := func(t *testing.T, o ServerOptions) (*Server, *script, *Stream) {
		server, device := scriptedDevice(t, o)
		stream := device.open(server)
		if _, err := stream.Write([]byte("request")); err != nil {
			t.Fatal(err)
		}
		must(t, stream.CloseWrite())
		device.expect(data(1, "request"))
		return server, device, stream
	}
	cases := map[string]func(t *testing.T){
		"CLOSE waits until the device is quiet": func(t *testing.T) {
			_, device, stream := start(t, ServerOptions{})
			for range 5 {
				time.Sleep(900 * time.Millisecond)
				device.quiet()
				device.send(data(1, "part"))
				hear(t, stream, "part")
			}
			before := time.Now()
			device.expect(closeOf(1))
			if waited := time.Since(before); waited != DefaultCloseDelay {
				t.Errorf("CLOSE came after %v", waited)
			}
		},
		"with nothing queued": func(t *testing.T) {
			server, device := scriptedDevice(t, ServerOptions{})
			must(t, device.open(server).CloseWrite())
			before := time.Now()
			device.expect(closeOf(1))
			if waited := time.Since(before); waited != DefaultCloseDelay {
				t.Errorf("CLOSE came after %v", waited)
			}
		},
		"no delay": func(t *testing.T) {
			_, device, _ := start(t, ServerOptions{CloseDelay: -1})
			before := time.Now()
			device.expect(closeOf(1))
			if waited := time.Since(before); waited != 0 {
				t.Errorf("CLOSE came after %v", waited)
			}
		},
		"the answer comes after CLOSE": func(t *testing.T) {
			server, device, stream := start(t, ServerOptions{})
			device.expect(closeOf(1))
			for range 5 {
				time.Sleep(20 * time.Second)
				device.send(data(1, "late"))
				hear(t, stream, "late")
			}
			device.send(closeOf(1))
			hearEnd(t, stream)
			device.quiet()
			if n := server.Stats().Open; n != 0 {
				t.Errorf("%d streams are open", n)
			}
		},
		"the device closes first": func(t *testing.T) {
			server, device, stream := start(t, ServerOptions{})
			device.send(data(1, "answer"), closeOf(1))
			hear(t, stream, "answer")
			hearEnd(t, stream)
			device.expect(closeOf(1))
			device.quiet()
			if n := server.Stats().Open; n != 0 {
				t.Errorf("%d streams are open", n)
			}
		},
		"the device never closes": func(t *testing.T) {
			server, device, stream := start(t, ServerOptions{})
			device.expect(closeOf(1))
			before := time.Now()
			hearError(t, stream, ErrLinger)
			if waited := time.Since(before); waited != DefaultLinger {
				t.Errorf("given up after %v", waited)
			}
			if s := server.Stats(); s.Open != 1 || s.Quarantined != 1 {
				t.Errorf("%+v", s)
			}
			device.send(closeOf(1))
			device.quiet()
			if s := server.Stats(); s.Open != 0 || s.Quarantined != 0 {
				t.Errorf("after the late CLOSE: %+v", s)
			}
		},
		"Close while CLOSE waits": func(t *testing.T) {
			_, device, stream := start(t, ServerOptions{})
			must(t, stream.Close())
			before := time.Now()
			device.expect(closeOf(1))
			if waited := time.Since(before); waited != 0 {
				t.Errorf("CLOSE came after %v", waited)
			}
			device.quiet()
			device.send(data(1, "nobody reads this"))
			device.expect(closeOf(1)) // again
			device.send(closeOf(1))
			device.quiet()
		},
		"strict": func(t *testing.T) {
			_, device, stream := start(t, ServerOptions{Options: Options{Strict: true}})
			hearEnd(t, stream)
			before := time.Now()
			device.expect(closeOf(1))
			if waited := time.Since(before); waited != 0 {
				t.Errorf("CLOSE came after %v", waited)
			}
		},
	}
	for name, f := range cases {
		t.Run(name, func(t *testing.T) { bubble(t, f) })
	}
}

// The device's side. At the start stream 1 is connected.
func TestHalfCloseOfDevice(t *testing.T) {
	start := func(t *testing.T, o DeviceOptions) (*Device, *script, *memConn) {
		device, server, dialed := scriptedServer(t, o)
		server.send(connectTo(1, "svc", 23))
		return device, server, <-dialed
	}
	cases := map[string]func(t *testing.T){
		"the service answers at EOF": func(t *testing.T) {
			device, server, service := start(t, DeviceOptions{})
			server.send(data(1, "request"), closeOf(1))
			hear(t, service, "request")
			hearEnd(t, service)
			for range 3 {
				time.Sleep(20 * time.Second)
				service.Write([]byte("late"))
				server.expect(data(1, "late"))
			}
			service.CloseWrite()
			server.expect(closeOf(1))
			server.quiet()
			if n := device.Stats().Open; n != 0 {
				t.Errorf("%d streams are open", n)
			}
		},
		"the service does not end": func(t *testing.T) {
			_, server, service := start(t, DeviceOptions{})
			server.send(closeOf(1))
			hearEnd(t, service)
			before := time.Now()
			server.expect(closeOf(1))
			if waited := time.Since(before); waited != DefaultLinger {
				t.Errorf("CLOSE came after %v", waited)
			}
			time.Sleep(farewell)
			synctest.Wait()
			if _, err := service.Write([]byte("x")); err == nil {
				t.Error("the service's connection is open")
			}
		},
		"the service ends first": func(t *testing.T) {
			device, server, service := start(t, DeviceOptions{})
			service.Write([]byte("all"))
			service.CloseWrite()
			server.expect(data(1, "all"), closeOf(1))
			server.send(data(1, "on its way"), closeOf(1))
			hear(t, service, "on its way")
			hearEnd(t, service)
			server.quiet()
			if n := device.Stats().Open; n != 0 {
				t.Errorf("%d streams are open", n)
			}
		},
		"the service ends first, the server never closes": func(t *testing.T) {
			device, server, service := start(t, DeviceOptions{})
			service.CloseWrite()
			server.expect(closeOf(1))
			before := time.Now()
			hearEnd(t, service)
			if waited := time.Since(before); waited != DefaultLinger {
				t.Errorf("given up after %v", waited)
			}
			synctest.Wait()
			if n := device.Stats().Open; n != 0 {
				t.Errorf("%d streams are open", n)
			}
		},
		"strict": func(t *testing.T) {
			_, server, service := start(t, DeviceOptions{Options: Options{Strict: true}})
			server.send(data(1, "request"), closeOf(1))
			hear(t, service, "request")
			hearEnd(t, service)
			server.expect(closeOf(1))
			synctest.Wait()
			if _, err := service.Write([]byte("answer")); err == nil {
				t.Error("the service's connection is open")
			}
		},
	}
	for name, f := range cases {
		t.Run(name, func(t *testing.T) { bubble(t, f) })
	}
}
