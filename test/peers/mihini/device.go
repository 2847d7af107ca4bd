// Package mihini has peers that do to the Mihini protocol what the original programs were seen to do, where that differs
// from what Jackfield does. Tests hold Jackfield against them.
package mihini

import (
	"net"
	"sync"

	"jackfield/wire/mihini"
)

// A Device behaves as the original device program:
//   - It dials a service before it reads the next frame.
//   - On CLOSE it closes the service at once, whatever that still has to say, and answers with CLOSE.
//   - It answers each DATA for an id that is not open with a CLOSE of its own.
//   - It sends a frame's header and its payload in two writes, and frames of up to 65535 bytes.
type Device struct {
	conn net.Conn

	sending sync.Mutex // held while a frame is written

	mu   sync.Mutex // guards what follows
	open map[uint8]net.Conn
}

// NewDevice takes a connection to a server.
func NewDevice(conn net.Conn) *Device { return &Device{conn: conn, open: make(map[uint8]net.Conn)} }

// Run sends LISTEN and serves the link until it ends. Then it closes the connection and those to services.
func (d *Device) Run() error {
	var reading sync.WaitGroup
	defer reading.Wait()
	defer d.closeAll()
	if err := d.send(mihini.Frame{Command: mihini.Listen}); err != nil {
		return err
	}
	for in := mihini.NewReader(d.conn); ; {
		f, err := in.Next()
		if err != nil {
			return err
		}
		if err := d.receive(f, &reading); err != nil {
			return err
		}
	}
}

func (d *Device) receive(f mihini.Frame, reading *sync.WaitGroup) error {
	d.mu.Lock()
	service := d.open[f.ID]
	d.mu.Unlock()
	switch {
	case f.Command == mihini.Connect:
		return d.connect(f, reading)
	case f.Command == mihini.Data && len(f.Payload) > 0 && service == nil:
		return d.send(mihini.Frame{Command: mihini.Close, ID: f.ID})
	case f.Command == mihini.Data && service != nil:
		_, _ = service.Write(f.Payload) // read notices what is broken
	case f.Command == mihini.Close && service != nil:
		_ = service.Close() // read answers
	}
	return nil
}

func (d *Device) connect(f mihini.Frame, reading *sync.WaitGroup) error {
	target, err := mihini.ParseConnect(f.Payload)
	if err != nil {
		return nil // without a word, as the original
	}
	service, err := net.Dial("tcp", target.String())
	if err != nil {
		return d.send(mihini.Frame{Command: mihini.Close, ID: f.ID})
	}
	d.mu.Lock()
	if old := d.open[f.ID]; old != nil {
		_ = old.Close()
	}
	d.open[f.ID] = service
	d.mu.Unlock()
	reading.Go(func() { d.read(f.ID, service) })
	return nil
}

// read passes on what a service sends, and its end.
func (d *Device) read(id uint8, service net.Conn) {
	buf := make([]byte, mihini.MaxPayload)
	for {
		n, err := service.Read(buf)
		if err == nil {
			err = d.send(mihini.Frame{Command: mihini.Data, ID: id, Payload: buf[:n]})
		}
		if err != nil {
			break
		}
	}
	_ = service.Close()
	d.mu.Lock()
	if d.open[id] == service {
		delete(d.open, id)
	}
	d.mu.Unlock()
	_ = d.send(mihini.Frame{Command: mihini.Close, ID: id})
}

func (d *Device) send(f mihini.Frame) error {
	whole, err := mihini.AppendFrame(nil, f)
	if err != nil {
		return err
	}
	d.sending.Lock()
	defer d.sending.Unlock()
	for _, part := range [][]byte{whole[:mihini.HeaderSize], whole[mihini.HeaderSize:]} {
		if _, err := d.conn.Write(part); err != nil {
			return err
		}
	}
	return nil
}

func (d *Device) closeAll() {
	_ = d.conn.Close()
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, service := range d.open {
		_ = service.Close()
	}
}
