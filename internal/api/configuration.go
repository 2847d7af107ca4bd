package api

import (
	"io"
	"net/http"
	"time"
)

func why(c *call) (any, error) {
	q, err := decode[Question](c)
	if err != nil {
		return nil, err
	}
	if !q.Source.IsValid() {
		return nil, invalid("the question needs the client's address")
	}
	e, err := c.server.Configuration.Why(c.ctx, q)
	e.Checks = list(e.Checks)
	return e, err
}

// configurationType is the media type of HCL, which has none of its own.
const configurationType = "application/hcl"

func checkConfiguration(c *call) (any, error) {
	body, err := c.body(MaxBody)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(body)
	if err != nil {
		return nil, bodyError(err)
	}
	if len(text) > 0 {
		if err := c.wantContent(configurationType, "text/plain"); err != nil {
			return nil, err
		}
	}
	found, err := c.server.Configuration.Check(c.ctx, text)
	if err != nil {
		return nil, err
	}
	p := Problems{Valid: true, Problems: list(found)}
	for _, problem := range found {
		if problem.Severity != "warning" {
			p.Valid = false
		}
	}
	return p, nil
}

func reload(c *call) (any, error) {
	reloaded, err := c.server.Configuration.Reload(c.ctx)
	if err != nil {
		return nil, err
	}
	return reloaded, nil
}

// How a backup goes over the wire.
const (
	backupType    = "application/octet-stream"
	maxBackup     = 16 << 30         // bytes of one that is restored
	piecePatience = 30 * time.Second // for the next piece of a backup, in either direction
)

func backup(c *call) (any, error) {
	header := c.w.Header()
	header.Set("Content-Type", backupType)
	header.Set("Content-Disposition", `attachment; filename="jackfield-`+time.Now().UTC().Format("20060102-150405")+`.backup"`)
	if c.r.Method == http.MethodHead {
		return nil, nil
	}
	if err := c.server.Backups.Backup(c.ctx, patientWriter{c}); err != nil {
		header.Del("Content-Disposition")
		return nil, err
	}
	return nil, nil
}

// A patientWriter gives each piece its own time, because nobody knows how long the whole takes. It begins the answer with the
// first one, so that what goes wrong before can still be told.
type patientWriter struct{ c *call }

func (w patientWriter) Write(piece []byte) (int, error) {
	w.c.control().SetWriteDeadline(time.Now().Add(piecePatience))
	if w.c.status == 0 {
		w.c.writeHeader(http.StatusOK)
	}
	return w.c.w.Write(piece)
}

func restore(c *call) (any, error) {
	if err := c.wantContent(backupType); err != nil {
		return nil, err
	}
	body, err := c.body(maxBackup)
	if err != nil {
		return nil, err
	}
	c.control().SetWriteDeadline(time.Time{})
	err = c.server.Backups.Restore(c.ctx, &patientReader{c: c, body: body})
	c.control().SetWriteDeadline(time.Now().Add(piecePatience))
	if tooLarge(err) {
		return nil, bodyError(err)
	}
	return nil, err
}

type patientReader struct {
	c    *call
	body io.Reader
}

func (r *patientReader) Read(piece []byte) (int, error) {
	r.c.control().SetReadDeadline(time.Now().Add(piecePatience))
	return r.body.Read(piece)
}
