package mihini

import (
	"io"
	"testing"
	"testing/synctest"
	"time"
)

// A service without end is stopped when its client has gone, not only when the link ends; what was on its way to it arrives.
func TestUnwantedServiceStops(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPair(t, ServerOptions{CloseDelay: -1}, DeviceOptions{})
		defer p.stop()
		client, service := p.open()
		stopped := make(chan error, 1)
		go func() {
			for {
				if _, err := io.WriteString(service, block8k); err != nil {
					stopped <- err
					return
				}
			}
		}()
		hear(t, client, block8k)
		if _, err := io.WriteString(client, "last words"); err != nil {
			t.Fatal(err)
		}
		must(t, client.Close())
		hear(t, service, "last words")
		select {
		case <-stopped:
		case <-time.After(DefaultLinger / 2):
			t.Error("the service is still read from")
		}
		synctest.Wait()
		if s, d := p.server.Stats(), p.device.Stats(); s.Open != 0 || d.Open != 0 || d.ProtocolErrors+s.ProtocolErrors != 0 {
			t.Errorf("server %+v, device %+v", s, d)
		}
		other, again := p.open()
		say(t, again, other, "the link goes on")
		other.Close()
	})
}

// CLOSE goes out a second time only to a device that goes on, and only once.
func TestSecondClose(t *testing.T) {
	bubble(t, func(t *testing.T) {
		server, device := scriptedDevice(t, ServerOptions{})
		quiet, chatty := device.open(server), device.open(server)
		must(t, quiet.Close())
		device.expect(closeOf(quiet.ID()))
		must(t, chatty.Close())
		device.expect(closeOf(chatty.ID()))
		device.send(data(chatty.ID(), "more"))
		device.expect(closeOf(chatty.ID()))
		device.send(data(chatty.ID(), "and more"))
		device.quiet()
		device.send(closeOf(quiet.ID()), closeOf(chatty.ID()))
		synctest.Wait()
		if s := server.Stats(); s.Open != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// A device that is known to half-close gets it at once: its service may be silent, and would hold the id.
func TestSecondCloseAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		server, device := scriptedDevice(t, ServerOptions{CloseDelay: -1})
		gone, ended := device.open(server), device.open(server)
		must(t, gone.Close())
		device.expect(closeOf(gone.ID()), closeOf(gone.ID()))
		device.send(closeOf(gone.ID()))
		must(t, ended.CloseWrite())
		device.expect(closeOf(ended.ID()))
		device.send(closeOf(ended.ID()))
		hearEnd(t, ended)
		must(t, ended.Close())
		device.quiet()
	})
}

// A stalled stream that is then closed, as a relay does, still stops its endless service.
func TestStalledServiceStops(t *testing.T) {
	bubble(t, func(t *testing.T) {
		server, device := scriptedDevice(t, ServerOptions{})
		dead := device.open(server)
		device.fill(dead.ID(), 4*DefaultQueue)
		must(t, dead.Close())
		device.expect(closeOf(dead.ID()))
		device.send(data(dead.ID(), "more"))
		device.expect(closeOf(dead.ID()))
		device.send(closeOf(dead.ID()))
	})
}

// All ids are free again as soon as their clients are gone, although the services say nothing and do not end.
func TestSilentServicesFreeTheirIDs(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPair(t, ServerOptions{CloseDelay: -1}, DeviceOptions{})
		defer p.stop()
		var clients []*Stream
		for range MaxStreams {
			client, _ := p.open()
			clients = append(clients, client)
		}
		for _, client := range clients {
			client.SetLinger(0)
			must(t, client.Close())
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if s, d := p.server.Stats(), p.device.Stats(); s.Open != 0 || d.Open != 0 {
			t.Errorf("server %+v, device %+v", s, d)
		}
	})
}

// On the device a service that cannot write, because the link takes nothing, and therefore does not read, is not to blame.
func TestBlockedServiceIsNotStalled(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPair(t, ServerOptions{CloseDelay: -1, Options: Options{StallTimeout: time.Minute}}, DeviceOptions{})
		defer p.stop()
		echo, echoed := p.open()
		slow, endless := p.open()
		go func() {
			for {
				if _, err := io.WriteString(endless, block8k); err != nil {
					return
				}
			}
		}()
		go io.Copy(echoed, echoed)
		go func() {
			for {
				if _, err := io.WriteString(echo, block8k); err != nil {
					return
				}
			}
		}()
		go io.Copy(io.Discard, echo)
		time.Sleep(20 * time.Second) // the slow one takes nothing, and nothing gets through
		if d := p.device.Stats(); d.Stalled != 0 {
			t.Errorf("the device gave %d streams up", d.Stalled)
		}
		slow.Close()
	})
}

func TestAfterStall(t *testing.T) {
	for name, wanted := range map[string]bool{"told": true, "taken back": false} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				server, device := scriptedDevice(t, ServerOptions{})
				dead := device.open(server)
				told := false
				stop := dead.AfterStall(func() { told = true })
				if !wanted && !stop() {
					t.Error("it was told before anything happened")
				}
				device.fill(dead.ID(), 4*DefaultQueue)
				synctest.Wait()
				if told != wanted {
					t.Errorf("told: %v", told)
				}
				if stop() {
					t.Error("there was something to take back")
				}
				if !dead.Broken() {
					t.Error("a stalled stream is whole")
				}
				device.expect(closeOf(dead.ID()))
				device.send(closeOf(dead.ID()))
			})
		})
	}
}

// Who waits with AwaitRead finds what Read finds.
func TestAwaitRead(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPair(t, ServerOptions{}, DeviceOptions{})
		defer p.stop()
		client, service := p.open()
		go func() {
			time.Sleep(time.Second)
			io.WriteString(service, "late")
			time.Sleep(time.Second)
			service.CloseWrite()
		}()
		begin := time.Now()
		client.AwaitRead()
		if time.Since(begin) != time.Second {
			t.Errorf("waited %v for bytes", time.Since(begin))
		}
		hear(t, client, "late")
		client.AwaitRead()
		hearEnd(t, client)
		if client.Broken() {
			t.Error("a stream that ended in order is broken")
		}
		client.SetReadDeadline(time.Now().Add(-time.Second))
		client.AwaitRead()
	})
}
