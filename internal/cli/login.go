package cli

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"jackfield"
	"jackfield/internal/api"
	"jackfield/internal/client"
	"jackfield/internal/identity"
)

type loginOptions struct {
	context     string
	user        string
	password    passwordFlags
	tokenStdin  bool
	fingerprint string
	trust       bool
	scopes      []string
	json        bool
}

func newLogin() *cobra.Command {
	var o loginOptions
	cmd := &cobra.Command{
		Use:   "login [URL]",
		Short: "Log in to a server",
		Long: `Logs in to the server at URL, such as https://jackfield.example.org, and makes that the current context: the server that ls,
connect, forward and the other everyday commands ask. Without URL, it logs in to the current one again. The token that the server
gives is kept in your directory for configuration, where only you can read it.

Who you are is proved by a password, which is asked for on a terminal, or by a token on standard input: a one-time token, which
is exchanged for another one, or any other, which is kept.

A server whose certificate comes from a public authority is known by that. The authority of any other server is pinned at the first
login: compare its fingerprint with the one that "jackfield certificate authority" shows on the server. Where nobody can be asked,
say --fingerprint. From then on, a server that shows a certificate of another authority is refused.`,
		Example: `  jackfield login https://jackfield.example.org --user ada
  jackfield login https://127.0.0.1:1443 --token-stdin --trust < first-token`,
		Args: args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error { return o.run(cmd, given) },
	}
	cmd.Flags().StringVar(&o.context, "context", "", "what to call this login (default: the server's host name, and port)")
	cmd.Flags().StringVar(&o.user, "user", "", "your name at the server (asked for on a terminal)")
	o.password.add(cmd)
	cmd.Flags().BoolVar(&o.tokenStdin, "token-stdin", false, "read a token, or a one-time token, from standard input")
	cmd.Flags().StringVar(&o.fingerprint, "fingerprint", "", "the SHA-256 of the authority that is to be trusted, in place of what was pinned")
	cmd.Flags().BoolVar(&o.trust, "trust", false, "at the first login, believe that the server is who it says")
	cmd.Flags().StringSliceVar(&o.scopes, "scope", nil, "what may be done with the new token: read, write, connect, admin (default the first three, or those of the one-time token)")
	cmd.Flags().BoolVar(&o.json, "json", false, "print JSON")
	return cmd
}

func (o *loginOptions) run(cmd *cobra.Command, given []string) error {
	err := cmp.Or(atMostOne(cmd, "token-stdin", "password-stdin"), atMostOne(cmd, "token-stdin", "user"), atMostOne(cmd, "fingerprint", "trust"))
	if err != nil {
		return err
	}
	for _, s := range o.scopes {
		if !slices.Contains(identity.AllScopes(), identity.Scope(s)) {
			return usageError{fmt.Errorf("%q is not a scope: those are read, write, connect and admin", s)}
		}
	}
	contexts, err := client.Open("")
	if err != nil {
		return err
	}
	before, known, err := o.find(contexts, given)
	if err != nil {
		return err
	}
	if err := o.needTerminal(cmd); err != nil {
		return err
	}
	fresh := client.Login{Context: before.Context, URL: before.URL}
	if fresh.Authorities, err = o.pin(cmd, before, known); err != nil {
		return err
	}
	if err := o.prove(cmd, &fresh); err != nil {
		return err
	}
	if err := contexts.Save(fresh); err != nil {
		return err
	}
	if err := contexts.Use(fresh.Context); err != nil {
		return err
	}
	if before.Token != "" && before.Token != fresh.Token {
		_ = revoke(cmd.Context(), *before) // nobody has it any more; a server that is known otherwise now is not told it, and it expires
	}
	if o.json {
		return printJSON(cmd.OutOrStdout(), contextLine{
			Name: fresh.Context, Current: true, URL: fresh.URL, User: fresh.User, LoggedIn: true, Expires: fresh.Expires,
			Pinned: fresh.Authorities != "",
		})
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "logged in to %s as %s, until %s\n", fresh.URL, fresh.User, fresh.Expires.Local().Format(time.DateTime))
	return err
}

// find returns what is known of the server: at least its address and the name of the context. A server is known if there is such
// a context.
func (o *loginOptions) find(contexts *client.Contexts, given []string) (l *client.Login, known bool, err error) {
	if len(given) == 0 {
		flags := loginFlags{o.context}
		l, err = flags.load(contexts)
		if errors.Is(err, client.ErrNone) {
			return nil, false, usageError{fmt.Errorf("%w: say which server is meant, with jackfield login URL", err)}
		}
		return l, true, err
	}
	server, err := client.ParseURL(given[0])
	if err != nil {
		return nil, false, usageError{err}
	}
	name := o.context
	if name == "" {
		name = client.ContextName(server)
	}
	if err := client.CheckContextName(name); err != nil {
		return nil, false, usageError{err}
	}
	l, err = contexts.Load(name)
	switch {
	case errors.Is(err, client.ErrNone):
		return &client.Login{Context: name, URL: server}, false, nil
	case err == nil && l.URL != server:
		return nil, false, fmt.Errorf("the context %s is of %s: choose another name with --context", name, l.URL)
	}
	return l, true, err
}

// pin finds out how the server is to be known: as before, by what is pinned or by a public authority; or by what the person says of
// a stranger. A known one that shows another certificate is no stranger, whatever --trust says: it is refused before it gets a secret.
func (o *loginOptions) pin(cmd *cobra.Command, before *client.Login, known bool) (authorities string, err error) {
	var fingerprint string
	if o.fingerprint != "" {
		if fingerprint, err = client.ParseFingerprint(o.fingerprint); err != nil {
			return "", usageError{err}
		}
	} else if known {
		return before.Authorities, nil
	}
	met, err := client.Meet(cmd.Context(), before.URL)
	switch {
	case err != nil:
		return "", err
	case fingerprint != "":
		return met.Pin(fingerprint)
	case met.Known:
		return "", nil
	case o.trust:
		fmt.Fprintf(cmd.ErrOrStderr(), "pinned the authority of %s: %s\n", before.URL, met.Fingerprint())
		return met.Pin(met.Fingerprint())
	}
	if err := confirm(cmd, before.URL, met.Fingerprint()); err != nil {
		return "", err
	}
	return met.Pin(met.Fingerprint())
}

// prove gets a token, and completes the login with it. A token that is no one-time token the server gives back.
func (o *loginOptions) prove(cmd *cobra.Command, fresh *client.Login) error {
	var attempt api.Login
	var err error
	if o.tokenStdin {
		if attempt.Token, err = readLine(cmd.InOrStdin(), "token"); err == nil {
			err = checkToken(attempt.Token)
		}
	} else {
		attempt.User, attempt.Password, err = o.askWho(cmd, fresh.URL)
	}
	if err != nil {
		return err
	}
	for _, s := range o.scopes {
		attempt.Scopes = append(attempt.Scopes, identity.Scope(s))
	}
	attempt.Label, _ = os.Hostname()
	attempt.Label = strings.TrimSpace("jackfield login " + attempt.Label)
	server, err := client.NewServer(*fresh, nil)
	if err != nil {
		return err
	}
	defer server.Close()
	grant, err := server.API.Login(cmd.Context(), attempt)
	fresh.User, fresh.Token, fresh.Expires = grant.User, grant.Secret, grant.Expires
	if refusal, is := errors.AsType[*jackfield.Error](err); is {
		err = fmt.Errorf("%s: %s", fresh.URL, visible(refusal.Message))
		if refusal.Kind == jackfield.Invalid && len(o.scopes) > 0 {
			err = usageError{err}
		}
	}
	return err
}

// checkToken says what is no token before the server is sent it: it may be a password.
func checkToken(text string) error {
	if !strings.HasPrefix(text, identity.SecretPrefix) || strings.ContainsAny(text, " \t\r\n") {
		return fmt.Errorf("what is on standard input is no token of Jackfield: those begin with %q", identity.SecretPrefix)
	}
	return nil
}

// jackfieldKind is the kind of a refusal; empty of anything else.
func jackfieldKind(err error) jackfield.Kind {
	if refusal, is := errors.AsType[*jackfield.Error](err); is {
		return refusal.Kind
	}
	return ""
}
