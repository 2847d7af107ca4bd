package builtin

import (
	"encoding/binary"
	"io"
	"math/rand/v2"
	"sync"
	"time"

	"jackfield"
)

// A service talks to one client. It returns nil when it has said everything, and need not end its direction itself.
type service func(s jackfield.Stream, now func() time.Time) error

// services are all there are, in alphabetical order.
var services = []struct {
	name string
	run  service
}{
	{"chargen", chargen},
	{"daytime", daytime},
	{"discard", discard},
	{"echo", echo},
	{"qotd", qotd},
	{"time", timeOfDay},
}

// buffers are what echo and discard hold while they wait.
var buffers = sync.Pool{New: func() any { return new([4 << 10]byte) }}

// echo sends back what comes until the client ends its direction (RFC 862). It reads no further than the client takes.
func echo(s jackfield.Stream, _ func() time.Time) error {
	return forward(s, s)
}

// discard throws away what comes until the client ends its direction (RFC 863).
func discard(s jackfield.Stream, _ func() time.Time) error {
	return forward(io.Discard, s)
}

// forward is io.Copy with a pooled buffer, whatever shortcuts dst and src may have.
func forward(dst io.Writer, src io.Reader) error {
	buffer := buffers.Get().(*[4 << 10]byte)
	defer buffers.Put(buffer)
	for {
		n, err := src.Read(buffer[:])
		if n > 0 {
			if _, err := dst.Write(buffer[:n]); err != nil {
				return err
			}
		}
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
}

// chargen sends characters until the client terminates the connection, and throws away what comes (RFC 864). A client
// that ends only its own direction goes on receiving, as from inetd: the service ends when a write fails.
func chargen(s jackfield.Stream, now func() time.Time) error {
	var discarding sync.WaitGroup
	discarding.Go(func() { discard(s, now) }) // what breaks reading breaks writing as well
	defer discarding.Wait()
	for {
		if _, err := s.Write(characters); err != nil {
			s.SetReadDeadline(past) // ends discarding
			return err
		}
	}
}

// characters are RFC 864's pattern: lines of 72 of the 95 printing characters of ASCII, each beginning one character
// later than the one before, up to where it repeats.
var characters = func() []byte {
	const first, printing, width = ' ', 95, 72
	var lines []byte
	for line := range printing {
		for column := range width {
			lines = append(lines, byte(first+(line+column)%printing))
		}
		lines = append(lines, "\r\n"...)
	}
	return lines
}()

// daytime sends the local date and time in the form of the C library's ctime, as inetd does (RFC 867 leaves it open).
func daytime(s jackfield.Stream, now func() time.Time) error {
	_, err := s.Write(now().AppendFormat(nil, time.ANSIC+"\r\n"))
	return err
}

// since1900 is the Unix epoch in RFC 868's count of seconds since 1900-01-01 00:00 UTC.
const since1900 = 2208988800

// timeOfDay sends the seconds since 1900, modulo 2^32, most significant byte first (RFC 868): from 2036-02-07 06:28:16 UTC
// the count begins again at 0.
func timeOfDay(s jackfield.Stream, now func() time.Time) error {
	_, err := s.Write(binary.BigEndian.AppendUint32(nil, uint32(now().Unix()+since1900)))
	return err
}

// qotd sends a quote of the day (RFC 865); as with fortune, it may be another one each time.
func qotd(s jackfield.Stream, _ func() time.Time) error {
	_, err := io.WriteString(s, quotes[rand.IntN(len(quotes))])
	return err
}

// quotes have at most 512 characters, as RFC 865 asks.
var quotes = []string{
	"What hath God wrought!\r\n    -- Samuel F. B. Morse, the first message over the line from Washington, 1844\r\n",
	"Mr. Watson, come here, I want to see you.\r\n    -- Alexander Graham Bell, the first words over a telephone, 1876\r\n",
	"Be conservative in what you do, be liberal in what you accept from others.\r\n    -- Jon Postel, RFC 761, 1980\r\n",
	"With sufficient thrust, pigs fly just fine.\r\n    -- Ross Callon, RFC 1925, 1996\r\n",
	"It is always possible to add another level of indirection.\r\n    -- Ross Callon, RFC 1925, 1996\r\n",
}
