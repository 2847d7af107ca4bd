package inedoserve

import (
	"errors"
	"os"
	"sync"
	"time"

	"jackfield/wire/inedo"
)

const (
	// outboxBytes is how many bytes of data may wait for a client; beyond that, whoever has more for it waits.
	outboxBytes = 1 << 20

	// messageCost is what a message counts beside its data.
	messageCost = 64

	// stallTime is how long a message may take to be sent, and stallRate the bytes for each of which there is more time: that
	// many in a second.
	stallTime = 30 * time.Second
	stallRate = 64 << 10
)

var errSlow = errors.New("the client does not read")

// An outbox holds what waits to be sent to a client. One goroutine sends, any may put.
type outbox struct {
	mu       sync.Mutex
	changed  *sync.Cond      // of what follows, which mu guards
	messages []inedo.Message // in order
	waiting  int             // their bytes
	ended    bool            // nothing more comes
	dead     bool            // nothing more is sent
}

func newOutbox() *outbox {
	o := new(outbox)
	o.changed = sync.NewCond(&o.mu)
	return o
}

// put adds a message, as soon as there is room. After the end it is lost.
func (o *outbox) put(m inedo.Message) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for !o.ended && !o.dead && o.waiting > outboxBytes {
		o.changed.Wait()
	}
	if o.ended || o.dead {
		return
	}
	o.messages = append(o.messages, m)
	o.waiting += cost(m)
	o.changed.Broadcast()
}

func cost(m inedo.Message) int { return len(m.Data) + messageCost }

// end says that nothing more comes; what waits is still sent.
func (o *outbox) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ended = true
	o.changed.Broadcast()
}

// discard has nothing more sent.
func (o *outbox) discard() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.dead, o.messages = true, nil
	o.changed.Broadcast()
}

// next waits for a message; false if there will be none.
func (o *outbox) next() (inedo.Message, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.messages) == 0 && !o.ended && !o.dead {
		o.changed.Wait()
	}
	if len(o.messages) == 0 || o.dead {
		return inedo.Message{}, false
	}
	m := o.messages[0]
	o.messages = o.messages[1:]
	return m, true
}

// sent makes the room of a message free.
func (o *outbox) sent(m inedo.Message) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.waiting -= cost(m)
	o.changed.Broadcast()
}

// send sends until the end, and returns why it could not.
func (o *outbox) send(conn *inedo.Conn) error {
	for {
		m, ok := o.next()
		if !ok {
			return nil
		}
		patience := stallTime + time.Duration(len(m.Data)/stallRate)*time.Second
		if err := conn.SetWriteDeadline(time.Now().Add(patience)); err != nil {
			return err
		}
		if err := conn.SendMessage(m); errors.Is(err, os.ErrDeadlineExceeded) {
			return errSlow
		} else if err != nil {
			return err
		}
		o.sent(m)
	}
}
