package cli

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"jackfield/internal/inedoserve"
	"jackfield/wire/inedo"
)

type inedoSend struct {
	inedoFlags
	inedoTrust
	command    string
	dataHex    string
	dataFile   string
	dataStdin  bool
	agentType  string
	width      string
	anyVersion bool
	receive    int
	json       bool
}

func newInedoSend() *cobra.Command {
	var s inedoSend
	cmd := &cobra.Command{
		Use:   "send HOST[:PORT] --command CODE",
		Short: "Send a command to an agent and show what comes back",
		Long: `Connects to the agent at HOST:PORT (46336 unless given) as a client, sends one message, and prints the messages that come
back: a line for each, with its command and its data in hexadecimal.

An agent that requires another encryption than --encryption is refused: its word for that is not protected. With ssl the agent is
known by its certificate. aes keeps messages secret and does nothing else: it protects neither from changes nor from replay.`,
		Example: `  jackfield inedo send 127.0.0.1 --command 3 --data-hex 01 --receive 1
  jackfield inedo send build.example --encryption ssl --fingerprint 9f86d0… --command 0x4A460001 --data-stdin < data`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error { return s.run(cmd, inedoAddress(given[0])) },
	}
	s.inedoFlags.add(cmd)
	s.inedoTrust.add(cmd)
	cmd.Flags().StringVar(&s.command, "command", "", "the command's code, such as 3 or 0x4A460000")
	cmd.Flags().StringVar(&s.dataHex, "data-hex", "", "the message's data, in hexadecimal")
	cmd.Flags().StringVar(&s.dataFile, "data-file", "", "a file with the data")
	cmd.Flags().BoolVar(&s.dataStdin, "data-stdin", false, "the data are standard input")
	cmd.Flags().StringVar(&s.agentType, "type", "meta", "with protocol v1: which part of the agent the message is for (meta, otter, buildmaster, hedgehog)")
	cmd.Flags().StringVar(&s.width, "version-width", "auto", "how many bytes the agent's version has in its reply: 4, 16 or auto")
	cmd.Flags().BoolVar(&s.anyVersion, "any-version", false, "believe that an agent speaks v2, even if its program is older than version 43")
	cmd.Flags().IntVar(&s.receive, "receive", 0, "wait for so many messages")
	cmd.Flags().DurationVar(&s.timeout, "timeout", 30*time.Second, "how long the connection, then the handshake, and then the messages may take, each")
	cmd.Flags().BoolVar(&s.json, "json", false, "print JSON, a line for each message")
	cmd.MarkFlagFilename("data-file")
	return cmd
}

func (s *inedoSend) run(cmd *cobra.Command, address string) error {
	config, m, err := s.prepare(cmd, address)
	if err != nil {
		return err
	}
	ctx := cmd.Context()
	tcp, err := (&net.Dialer{Timeout: s.timeout}).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer tcp.Close()
	conn, err := inedo.Handshake(ctx, tcp, config)
	if err != nil {
		return explainInedo(err)
	}
	stop := context.AfterFunc(ctx, func() { tcp.Close() })
	defer stop()
	conn.SetDeadline(time.Now().Add(s.timeout))
	if err := conn.SendMessage(m); err != nil {
		return explainSend(err)
	}
	for n := range s.receive {
		answer, err := conn.Receive()
		if err != nil {
			return s.explainReceive(err, n)
		}
		if err := s.print(cmd.OutOrStdout(), answer); err != nil {
			return err
		}
	}
	return leave(conn, tcp.(*net.TCPConn))
}

// prepare finds what is wrong before anything is dialled.
func (s *inedoSend) prepare(cmd *cobra.Command, address string) (config inedo.ClientConfig, m inedo.Message, err error) {
	if config.Options, err = s.options(); err != nil {
		return config, m, err
	}
	if err := s.inedoTrust.check(cmd, config.Mode); err != nil {
		return config, m, err
	}
	config.AnyVersion = s.anyVersion
	if config.Width, err = parseWidth(s.width, true); err != nil {
		return config, m, err
	}
	if config.Mode == inedo.ModeSSL {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return config, m, usageError{err}
		}
		if config.TLS, err = s.inedoTrust.config(host); err != nil {
			return config, m, err
		}
	}
	if s.command == "" {
		return config, m, usageError{errors.New("--command CODE is missing: what should the agent do?")}
	}
	if m.Command, err = inedoserve.ParseCommand(s.command); err != nil {
		return config, m, usageError{fmt.Errorf("--command: %w", err)}
	}
	if m.Type, err = parseAgentType(s.agentType); err != nil {
		return config, m, err
	}
	if s.receive < 0 {
		return config, m, usageError{errors.New("--receive must be 0 or more")}
	}
	m.Data, err = s.data(cmd)
	return config, m, err
}

// data are those of the message: none unless a flag says which.
func (s *inedoSend) data(cmd *cobra.Command) ([]byte, error) {
	if err := atMostOne(cmd, "data-hex", "data-file", "data-stdin"); err != nil {
		return nil, err
	}
	var from io.Reader
	switch {
	case s.dataStdin:
		from = cmd.InOrStdin()
	case s.dataFile != "":
		file, err := os.Open(s.dataFile)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		from = file
	default:
		data, err := hex.DecodeString(s.dataHex)
		if err != nil {
			return nil, usageError{fmt.Errorf("--data-hex: %w", err)}
		}
		return data, nil
	}
	data, err := io.ReadAll(io.LimitReader(from, int64(s.maxData)+1))
	if err == nil && len(data) > s.maxData {
		err = fmt.Errorf("the data have more than %d bytes: --max-data", s.maxData)
	}
	return data, err
}

func parseAgentType(text string) (inedo.AgentType, error) {
	for t := inedo.Meta; t <= inedo.Hedgehog; t++ {
		if t.String() == text {
			return t, nil
		}
	}
	return 0, usageError{fmt.Errorf("--type is meta, otter, buildmaster or hedgehog, not %q", text)}
}

func parseWidth(text string, orAuto bool) (inedo.Width, error) {
	switch {
	case text == "4":
		return inedo.WidthNarrow, nil
	case text == "16":
		return inedo.WidthWide, nil
	case text == "auto" && orAuto:
		return inedo.WidthAuto, nil
	case orAuto:
		return 0, usageError{fmt.Errorf("--version-width is 4, 16 or auto, not %q", text)}
	}
	return 0, usageError{fmt.Errorf("--version-width is 4 or 16, not %q", text)}
}

func (s *inedoSend) print(w io.Writer, m inedo.Message) error {
	data := hex.EncodeToString(m.Data)
	if s.json {
		return json.NewEncoder(w).Encode(struct {
			Command int32  `json:"command"`
			Data    string `json:"data_hex"`
		}{m.Command, data})
	}
	_, err := fmt.Fprintln(w, strings.TrimRight(fmt.Sprintf("%d %s", m.Command, data), " "))
	return err
}

func explainSend(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return errors.New("the agent did not take the message in time")
	}
	return err
}

func (s *inedoSend) explainReceive(err error, received int) error {
	of := fmt.Sprintf("%d of %d messages have come", received, s.receive)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("%s within %v", of, s.timeout)
	case err == io.EOF:
		return fmt.Errorf("%s, then the agent ended the connection", of)
	case errors.Is(err, inedo.ErrDecrypt):
		return fmt.Errorf("%s, then one that cannot be decrypted: do both ends have the same key?", of)
	}
	return fmt.Errorf("%s: %w", of, err)
}

// leaveTime is how long an agent may take to end its direction.
const leaveTime = time.Second

// leave ends our direction and reads on for a little: a close with something unread would be a reset, which could destroy
// what we sent.
func leave(conn *inedo.Conn, tcp *net.TCPConn) error {
	conn.SetDeadline(time.Now().Add(leaveTime))
	var err error
	if raw, rawErr := conn.Raw(); rawErr == nil {
		err = raw.(interface{ CloseWrite() error }).CloseWrite()
	} else {
		err = tcp.CloseWrite()
	}
	io.Copy(io.Discard, tcp)
	return err
}
