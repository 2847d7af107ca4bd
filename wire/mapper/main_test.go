package mapper

import (
	"context"
	"io"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain lets the test binary be an application, too.
func TestMain(m *testing.M) {
	if os.Getenv("MAPPER_APPLICATION") != "" {
		os.Exit(application())
	}
	goleak.VerifyTestMain(m)
}

// application allows jane. Whoever asks for "crash" gets his answer first.
func application() int {
	status := 0
	err := Serve(context.Background(), os.Stdin, os.Stdout, func(_ context.Context, r Request) Response {
		switch user, _ := r.Entries.Get("user"); user {
		case "1000:jane":
			return Response{Success: true, Text: "welcome"}
		case "0:crash":
			status = 3
			return Response{Success: true}
		}
		return Response{Text: "not on the list"}
	})
	if err != nil {
		return 1
	}
	return status
}

// A memoryApp runs a function as an application, on pipes without a buffer.
type memoryApp struct {
	*io.PipeWriter                // its standard input
	output         *io.PipeReader // its standard output
	exited         chan struct{}
	status         error
}

func startApp(program func(in *io.PipeReader, out *io.PipeWriter) error) *memoryApp {
	inReader, inWriter := io.Pipe()
	outReader, outWriter := io.Pipe()
	app := &memoryApp{PipeWriter: inWriter, output: outReader, exited: make(chan struct{})}
	go func() {
		defer close(app.exited)
		app.status = program(inReader, outWriter)
		inReader.Close()
		outWriter.Close()
	}()
	return app
}

func (a *memoryApp) Read(p []byte) (int, error) { return a.output.Read(p) }

func (a *memoryApp) Wait() error {
	<-a.exited
	a.output.Close()
	return a.status
}

// ask has a whole conversation.
func ask(app Application, requests ...Request) ([]Answer, *Conversation, error) {
	c := NewConversation(app, nil)
	if err := c.Greet(); err != nil {
		return nil, c, err
	}
	return c.Ask(requests), c, nil
}

func ids(ids ...string) []Request {
	requests := make([]Request, len(ids))
	for i, id := range ids {
		requests[i].ID = id
	}
	return requests
}
