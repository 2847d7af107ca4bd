package tcpmux

import (
	"bytes"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"
)

// A script is a connection that says its bytes in pieces of at most size bytes.
type script struct {
	net.Conn
	r    *bytes.Reader
	size int
}

func (s *script) Read(p []byte) (int, error)    { return s.r.Read(p[:min(len(p), s.size)]) }
func (*script) SetReadDeadline(time.Time) error { return nil }

// overForms hands data to read by a connection that cannot be peeked and by one that can.
func overForms(connect pairs, data []byte, size int, read func(net.Conn)) {
	read(&script{r: bytes.NewReader(data), size: size})

	client, server := connect()
	var peer sync.WaitGroup
	peer.Go(func() {
		client.Write(data)
		client.CloseWrite()
	})
	read(server)
	server.Close()
	peer.Wait()
	client.Close()
}

// modelLine says what a line reader must find.
func modelLine(data []byte, limit int) (line, rest []byte, err error) {
	line, rest, found := bytes.Cut(data, []byte("\n"))
	if found {
		line = bytes.TrimSuffix(line, []byte("\r"))
	}
	switch {
	case found && len(line) <= limit:
		return line, rest, nil
	case found || len(data) >= limit+2:
		return nil, nil, ErrTooLong
	case len(data) == 0:
		return nil, nil, io.EOF
	}
	return nil, nil, io.ErrUnexpectedEOF
}

func addSeeds(f *testing.F) {
	for _, row := range goldenServer {
		f.Add([]byte(strings.Join(row.sent, "")), byte(3))
	}
	for _, row := range goldenReplies {
		f.Add([]byte(row.reply), byte(1))
	}
	for _, row := range goldenLists {
		if len(row.reply) < 10000 {
			f.Add([]byte(row.reply), byte(200))
		}
	}
}

func FuzzReadName(f *testing.F) {
	addSeeds(f)
	connect := socketPairs(f, "unix", f.TempDir()+"/s")
	f.Fuzz(func(t *testing.T, data []byte, size byte) {
		line, rest, want := modelLine(data, MaxName)
		overForms(connect, data, 1+int(size), func(conn net.Conn) {
			name, conn, err := ReadName(conn, time.Minute)
			if !errors.Is(err, want) || name != string(line) {
				t.Fatalf("name %q, %v; want %q, %v", name, err, line, want)
			}
			if err != nil {
				return
			}
			if got, err := io.ReadAll(conn); err != nil || !bytes.Equal(got, rest) {
				t.Fatalf("rest %q, %v; want %q", got, err, rest)
			}
		})
	})
}

func FuzzReadReply(f *testing.F) {
	addSeeds(f)
	connect := socketPairs(f, "unix", f.TempDir()+"/s")
	f.Fuzz(func(t *testing.T, data []byte, size byte) {
		line, rest, lineErr := modelLine(data, MaxReply)
		overForms(connect, data, 1+int(size), func(conn net.Conn) {
			conn, text, err := readReply(conn)
			refusal, refused := errors.AsType[*RefusedError](err)
			switch {
			case lineErr != nil:
				if !errors.Is(err, lineErr) || lineErr != ErrTooLong && !errors.Is(err, ErrNoReply) {
					t.Fatalf("error %v, want %v", err, lineErr)
				}
			case bytes.HasPrefix(line, []byte("-")):
				if !refused || refusal.Text != string(line[1:]) {
					t.Fatalf("error %v, want the refusal %q", err, line)
				}
			case !bytes.HasPrefix(line, []byte("+")):
				if !errors.Is(err, ErrProtocol) {
					t.Fatalf("error %v, want %v", err, ErrProtocol)
				}
			default:
				if err != nil || text != string(line[1:]) {
					t.Fatalf("text %q, %v; want %q", text, err, line[1:])
				}
				rest := bytes.TrimPrefix(rest, []byte{0})
				if got, err := io.ReadAll(SkipNUL(conn)); err != nil || !bytes.Equal(got, rest) {
					t.Fatalf("rest %q, %v; want %q", got, err, rest)
				}
			}
		})
	})
}

func FuzzList(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, data []byte, size byte) {
		names, err := readList(bytes.NewReader(data))
		slow, slowErr := readList(iotest.OneByteReader(bytes.NewReader(data)))
		if !slices.Equal(names, slow) || (err == nil) != (slowErr == nil) {
			t.Fatalf("whole %q, %v; byte by byte %q, %v", names, err, slow, slowErr)
		}
		if err != nil {
			return
		}
		for _, name := range names {
			if checkName(name) != nil || Fold(name) == Help || len(names) > MaxListed {
				t.Fatalf("%d names with %q", len(names), name)
			}
		}
		var list bytes.Buffer
		if err := WriteHelp(&list, names); err != nil {
			t.Fatal(err)
		}
		if len(names) > 0 && strings.ContainsRune("+-", rune(names[0][0])) || list.Len() > MaxList {
			return // would be read as a status line, or has grown by CRs
		}
		if again, err := readList(&list); err != nil || !slices.Equal(again, names) {
			t.Fatalf("written and read again %q, %v; want %q", again, err, names)
		}
	})
}
