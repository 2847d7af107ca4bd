package cli

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"text/template"
	"time"

	"github.com/spf13/cobra"

	"jackfield"
	"jackfield/internal/device"
	"jackfield/internal/server"
)

//go:embed demo.hcl.tmpl
var demoConfig string

//go:embed demo.txt.tmpl
var demoGuide string

// demoRules are those by which the demo's mapper decides.
const demoRules = `rule "allow" { from = ["127.0.0.1"] }
`

// The ports that the demo takes if they are free, so that what its documentation says can be pasted.
const (
	demoPort    = "1078"
	demoWebPort = "1080"
	demoAPIPort = "1443"
)

func newDemo() *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "Run a server on this machine with something to try",
		Long: `Runs a server with a few services on 127.0.0.1, says what to try, and shows the sessions as they come and go. It needs no
configuration, touches nothing outside a temporary directory, and ends with Ctrl-C.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runDemo(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
}

// A demo is what the templates of the demo's configuration and guide speak of.
type demo struct {
	Dir     string // the temporary directory
	Mux     string // addresses of the listeners
	WebPort string
	Web     string // and of the services behind the server
	Console string
	Field   string // where the demo's device dials in
	Meter   string // its service
	Edge    string // the service of the demo's agent
	API     string // where the API is
	Command string // how the person runs this binary
}

func runDemo(ctx context.Context, out, stderr io.Writer) error {
	surviveBrokenPipes() // "demo | head" must not leave its directory behind
	dir, err := os.MkdirTemp("", "jackfield-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	d := &demo{Dir: dir, Mux: freeAddress(demoPort), WebPort: freeAddress(demoWebPort), API: freeAddress(demoAPIPort), Command: thisCommand()}
	if d.Web, err = serveDemoWeb(ctx); err != nil {
		return err
	}
	if d.Console, err = serveDemoConsole(ctx, "fpga-1"); err != nil {
		return err
	}
	if d.Meter, err = serveDemoConsole(ctx, demoDevice); err != nil {
		return err
	}
	if d.Edge, err = serveDemoConsole(ctx, demoAgent); err != nil {
		return err
	}
	d.Field = freeAddress("0")
	told := &afterwards{out: out}
	s, err := d.start(told, stderr)
	if err != nil {
		return err
	}
	var playing sync.WaitGroup
	defer playing.Wait()
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx, nil) }()
	playing.Go(func() { d.playDevice(ctx) })
	err = d.playAgent(ctx, playing.Go)
	if err == nil {
		err = told.begin(template.Must(template.New("guide").Parse(demoGuide)), d)
	}
	if err != nil {
		stop()
	}
	return errors.Join(err, <-ended)
}

// start runs the demo's configuration the way serve does, so that what is tried here is what serve would do.
func (d *demo) start(out, stderr io.Writer) (*server.Server, error) {
	if err := os.WriteFile(d.RulesFile(), []byte(demoRules), 0o600); err != nil {
		return nil, err
	}
	file, err := os.Create(d.ConfigFile())
	if err != nil {
		return nil, err
	}
	err = template.Must(template.New("config").Parse(demoConfig)).Execute(file, d)
	if err := errors.Join(err, file.Close()); err != nil {
		return nil, err
	}
	c, err := loadConfig(d.ConfigFile(), stderr)
	if err != nil {
		return nil, err
	}
	level := new(slog.LevelVar)
	level.Set(slog.LevelWarn)
	return server.Start(server.Options{
		Path:     d.ConfigFile(),
		Config:   c,
		Log:      newLog(stderr, isTerminal(stderr), level, "auto"),
		Level:    level,
		Version:  version,
		Recorder: narrator{out},
	})
}

// Quote writes a string as HCL has it.
func (d *demo) Quote(s string) string { return quoteHCL(s) }

func quoteHCL(s string) string {
	return strings.NewReplacer("${", "$${", "%{", "%%{").Replace(strconv.Quote(s))
}

// Moved says whether a port is not the one that the documentation speaks of.
func (d *demo) Moved() bool {
	return d.MuxPort() != demoPort || !strings.HasSuffix(d.WebPort, ":"+demoWebPort) || !strings.HasSuffix(d.API, ":"+demoAPIPort)
}

// ConfigFile is the path of the demo's configuration.
func (d *demo) ConfigFile() string { return filepath.Join(d.Dir, "jackfield.hcl") }

// RulesFile is the path of the rules by which the demo's mapper decides.
func (d *demo) RulesFile() string { return filepath.Join(d.Dir, "clerk.hcl") }

// Program is the path of this binary, which is the demo's mapper.
func (d *demo) Program() (string, error) { return os.Executable() }

// MuxHost and MuxPort are the two halves of Mux, as nc wants them.
func (d *demo) MuxHost() string { host, _, _ := net.SplitHostPort(d.Mux); return host }
func (d *demo) MuxPort() string { _, port, _ := net.SplitHostPort(d.Mux); return port }

// freeAddress is the loopback address with the given port, or with one that the system chooses if that is taken.
func freeAddress(port string) string {
	ln, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		if ln, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			return net.JoinHostPort("127.0.0.1", port)
		}
	}
	defer ln.Close()
	return ln.Addr().String()
}

// thisCommand is how a person calls this binary again: "go run" leaves it in a directory that is soon gone.
func thisCommand() string {
	path, err := os.Executable()
	if err != nil || filepath.Base(filepath.Dir(path)) == "exe" {
		return "go run ./cmd/jackfield"
	}
	return path
}

// playDevice is a device that offers its meter, until ctx ends.
func (d *demo) playDevice(ctx context.Context) {
	allow, err := device.ParseAllowList([]string{d.Meter})
	if err != nil {
		return // an address that the system gave us
	}
	_ = device.Run(ctx, device.Options{Server: d.Field, Allow: allow, Log: slog.New(slog.DiscardHandler)})
}

// serveDemoWeb runs a small web server, which is the demo's dialled service, until ctx ends.
func serveDemoWeb(ctx context.Context) (address string, err error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	web := &http.Server{
		ReadHeaderTimeout: 10 * time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintln(w, "Hello from a web server that only Jackfield was told about.")
		}),
	}
	context.AfterFunc(ctx, func() { web.Close() })
	go web.Serve(ln)
	return ln.Addr().String(), nil
}

// serveDemoConsole pretends to be a board's serial console behind a TCP port until ctx ends.
func serveDemoConsole(ctx context.Context, name string) (address string, err error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	context.AfterFunc(ctx, func() { ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go demoConsole(conn, name)
		}
	}()
	return ln.Addr().String(), nil
}

func demoConsole(conn net.Conn, name string) {
	defer conn.Close()
	fmt.Fprintf(conn, "%s console\r\n%s> ", name, name)
	lines := bufio.NewScanner(conn)
	for lines.Scan() {
		if _, err := fmt.Fprintf(conn, "you said %q\r\n%s> ", lines.Text(), name); err != nil {
			return
		}
	}
}

// afterwards holds back what is written until the guide stands above it.
type afterwards struct {
	out io.Writer

	mu    sync.Mutex // guards what follows
	held  bytes.Buffer
	begun bool
}

// Write implements io.Writer.
func (a *afterwards) Write(p []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.begun {
		return a.out.Write(p)
	}
	return a.held.Write(p)
}

// begin writes the guide, and then what was held back.
func (a *afterwards) begin(guide *template.Template, d *demo) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.begun = true
	if err := guide.Execute(a.out, d); err != nil {
		return err
	}
	_, err := a.held.WriteTo(a.out)
	return err
}

// A narrator tells the person at the terminal what happens to requests.
type narrator struct{ out io.Writer }

func (n narrator) Opened(r *jackfield.Record) error {
	fmt.Fprintf(n.out, "%s  open    %s from %s by %s\n", r.ID, r.Service, r.Source, r.Route)
	return nil
}

func (n narrator) Closed(r *jackfield.Record) {
	fmt.Fprintf(n.out, "%s  close   %s after %s: %s, %s from the client, %s from the service\n", r.ID, r.Service,
		r.Duration.Round(time.Millisecond), r.End.Cause, bytesCount(r.Transfer.FromClient), bytesCount(r.Transfer.FromService))
}

func (n narrator) Refused(r *jackfield.Record) {
	fmt.Fprintf(n.out, "%s  refuse  %q from %s: %s\n", r.ID, r.Service, r.Source, cmp.Or(r.Details, string(r.Kind)))
}
