package inedoserve

import (
	"context"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"

	"jackfield/wire/inedo"
)

// logged is how many bytes of a message's data are logged at most.
const logged = 1 << 10

// A connection is one with a client.
type connection struct {
	number int32
	conn   *inedo.Conn
	socket net.Conn // below it
	log    *slog.Logger
	out    *outbox

	cutOnce sync.Once
	spoken  map[*handler]*process // those that it speaks to; of the goroutine that serves it
}

func newConnection(number int32, conn *inedo.Conn, socket net.Conn, log *slog.Logger) *connection {
	return &connection{number: number, conn: conn, socket: socket, log: log, out: newOutbox(), spoken: make(map[*handler]*process)}
}

// cut ends a connection at once. What waits to be sent is lost. To end one in order, end its outbox.
func (c *connection) cut(why string) {
	c.cutOnce.Do(func() {
		if why != "" {
			c.log.Warn("connection cut", "reason", why)
		}
		c.out.discard()
		c.socket.Close()
	})
}

// serve serves a connection until either side, or ctx, ends it.
func (a *Agent) serve(ctx context.Context, c *connection) {
	stop := context.AfterFunc(ctx, func() { c.cut("") })
	defer stop()
	var sending sync.WaitGroup
	sending.Go(func() {
		if err := c.out.send(c.conn); err != nil {
			c.cut(err.Error())
		}
		c.conn.Close() // Receive returns, if it has not
	})
	err := a.receive(ctx, c)
	for h, p := range c.spoken {
		h.leave(p, c)
	}
	c.out.end()
	sending.Wait()
	for _, p := range c.spoken {
		p.tellEnd(c)
	}
	if ctx.Err() == nil && err != nil && !errors.Is(err, net.ErrClosed) {
		c.log.Warn("client gone", "error", err)
		return
	}
	c.log.Info("client gone")
}

// receive deals with messages until the connection ends. A message that cannot be decrypted is dealt with as one that nobody
// knows: whoever sees a difference could find out what recorded messages say.
func (a *Agent) receive(ctx context.Context, c *connection) error {
	for {
		m, err := c.conn.Receive()
		switch {
		case errors.Is(err, inedo.ErrDecrypt):
			c.log.Warn("message ignored", "reason", "it cannot be decrypted")
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		default:
			a.message(ctx, c, m)
		}
	}
}

func (a *Agent) message(ctx context.Context, c *connection, m inedo.Message) {
	log := c.log.With("command", m.Command, "bytes", len(m.Data))
	if c.conn.Protocol() == inedo.V1 {
		log = log.With("type", m.Type.String())
	}
	if a.LogData {
		log = log.With("data", hex.EncodeToString(m.Data[:min(len(m.Data), logged)]))
	}
	h := a.handlerOf(m.Command)
	switch {
	case m.Command == inedo.CommandUpdateAgent:
		refuseUpdate(log, m)
	case m.Command == inedo.CommandGetAgentRootPath && a.RootPath != "":
		a.answerRootPath(log, c, m)
	case h == nil:
		log.Info("message ignored", "reason", "nobody knows the command")
	default:
		log.Info("message for a handler", "handler", h.String())
		if err := h.deliver(ctx, c, m); err != nil && ctx.Err() == nil {
			c.cut(err.Error())
		}
	}
}

func refuseUpdate(log *slog.Logger, m inedo.Message) {
	var update inedo.UpdateAgent
	if err := inedo.Unmarshal(m.Data, &update); err != nil {
		log.Warn("message ignored", "reason", "a malformed update", "error", err)
		return
	}
	log = log.With("of", update.Type.String())
	for _, f := range update.Assemblies {
		log.Info("update refused", "assembly", f.Name, "size", len(f.Content), "modified", f.Modified)
	}
	for _, f := range update.Extensions {
		log.Info("update refused", "extension", f.Name, "size", len(f.Content), "modified", f.Modified)
	}
	log.Warn("update refused", "files", len(update.Assemblies)+len(update.Extensions))
}

func (a *Agent) answerRootPath(log *slog.Logger, c *connection, m inedo.Message) {
	var question inedo.GetAgentRootPath
	if err := inedo.Unmarshal(m.Data, &question); err != nil {
		log.Warn("message ignored", "reason", "a malformed question for the root path", "error", err)
		return
	}
	answer, err := inedo.Marshal(inedo.AgentRootPath{Path: a.RootPath})
	if err != nil {
		log.Error("no answer", "error", err)
		return
	}
	log.Info("root path answered", "of", question.Type.String())
	c.out.put(inedo.Message{Command: m.Command, Data: answer})
}

func tlsName(s tls.ConnectionState) string { return tls.VersionName(s.Version) }
