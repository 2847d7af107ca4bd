//go:build unix

package inedoserve

import (
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"jackfield/wire/inedo"
)

// pipe is a connection in memory, whose two ends have done their handshake.
func pipe(t *testing.T) (agent, client *inedo.Conn) {
	t.Helper()
	near, far := net.Pipe()
	done := make(chan error, 1)
	go func() {
		var err error
		client, err = inedo.Handshake(t.Context(), far, inedo.ClientConfig{})
		done <- err
	}()
	agent, err := inedo.Accept(t.Context(), near, inedo.AgentConfig{})
	if err := errors.Join(err, <-done); err != nil {
		t.Fatal(err)
	}
	return agent, client
}

func TestOutboxWaitsForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		agent, client := pipe(t)
		defer client.Close()
		defer agent.Close()
		o := newOutbox()
		put := 0
		go func() {
			for range 100 {
				o.put(inedo.Message{Command: 1, Data: make([]byte, 100<<10)})
				put++
			}
			o.end()
		}()
		sent := make(chan error, 1)
		go func() { sent <- o.send(agent) }()
		synctest.Wait()
		if put*100<<10 > outboxBytes+100<<10 {
			t.Fatalf("%d messages wait", put)
		}
		for range 100 {
			if _, err := client.Receive(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second) // slow, but it reads
		}
		if err := <-sent; err != nil || put != 100 {
			t.Errorf("%d messages, %v", put, err)
		}
	})
}

func TestSlowClientIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		agent, client := pipe(t)
		defer client.Close()
		defer agent.Close()
		o := newOutbox()
		o.put(inedo.Message{Command: 1, Data: make([]byte, 10*stallRate)})
		began := time.Now()
		if err := o.send(agent); err != errSlow {
			t.Errorf("%v", err)
		}
		if took := time.Since(began); took != stallTime+10*time.Second {
			t.Errorf("after %v", took)
		}
	})
}

func TestOutboxAfterItsEnd(t *testing.T) {
	for name, end := range map[string]func(*outbox){"ended": (*outbox).end, "discarded": (*outbox).discard} {
		synctest.Test(t, func(t *testing.T) {
			agent, client := pipe(t)
			defer client.Close()
			defer agent.Close()
			o := newOutbox()
			go func() {
				for range 20 {
					o.put(inedo.Message{Data: make([]byte, 100<<10)})
				}
			}()
			synctest.Wait()
			end(o)
			synctest.Wait() // whoever waited for room has gone
			o.put(inedo.Message{Command: 4711})
			go client.Close()
			if o.send(agent) == nil && name == "ended" {
				t.Error("what waited was not sent")
			}
		})
	}
}
