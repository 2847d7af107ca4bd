package cli

import (
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// meterPause is the time between two lines of a meter.
const meterPause = 500 * time.Millisecond

// A meter shows on a terminal how much is carried, and how fast.
type meter struct {
	terminal       io.Writer
	sent, received atomic.Int64
	started        time.Time
	quit           chan struct{}
	over           sync.WaitGroup
}

func startMeter(terminal io.Writer) *meter {
	m := &meter{terminal: terminal, started: time.Now(), quit: make(chan struct{})}
	m.over.Go(m.run)
	return m
}

func (m *meter) run() {
	ticks := time.NewTicker(meterPause)
	defer ticks.Stop()
	var before int64
	for last := m.started; ; {
		select {
		case now := <-ticks.C:
			total := m.sent.Load() + m.received.Load()
			m.show(float64(total-before) / now.Sub(last).Seconds())
			before, last = total, now
		case <-m.quit:
			m.show(float64(m.sent.Load()+m.received.Load()) / time.Since(m.started).Seconds())
			fmt.Fprintln(m.terminal)
			return
		}
	}
}

func (m *meter) show(perSecond float64) {
	fmt.Fprintf(m.terminal, "\r%s sent, %s received, %s/s\x1b[K", bytesCount(m.sent.Load()), bytesCount(m.received.Load()), bytesCount(int64(perSecond)))
}

// stop shows the whole and its mean rate.
func (m *meter) stop() {
	close(m.quit)
	m.over.Wait()
}

func (m *meter) reader(r io.Reader) io.Reader { return meteredReader{r, m} }
func (m *meter) writer(w io.Writer) io.Writer { return meteredWriter{w, m} }

type meteredReader struct {
	io.Reader
	meter *meter
}

// Read implements io.Reader.
func (r meteredReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.meter.sent.Add(int64(n))
	return n, err
}

type meteredWriter struct {
	io.Writer
	meter *meter
}

// Write implements io.Writer.
func (w meteredWriter) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	w.meter.received.Add(int64(n))
	return n, err
}
