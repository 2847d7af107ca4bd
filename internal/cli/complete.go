package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"jackfield/internal/api"
	"jackfield/internal/client"
)

// completionPatience is how long somebody who has pressed Tab waits for a server.
const completionPatience = time.Second

// A completer offers what could be typed next. Where a server does not answer, or nobody has logged in, it offers nothing, and
// never a file.
type completer = func(cmd *cobra.Command, given []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective)

// An asker finds the server that a command line means.
type asker interface {
	ask() (server *api.Client, done func(), err error)
}

// completeNames makes a completer of a question to a server.
func completeNames(flags asker, question func(ctx context.Context, server *api.Client) ([]cobra.Completion, error)) completer {
	return func(cmd *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		server, done, err := flags.ask()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		defer done()
		ctx, cancel := context.WithTimeout(cmd.Context(), completionPatience)
		defer cancel()
		names, err := question(ctx, server)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return slices.DeleteFunc(names, needsQuotes), cobra.ShellCompDirectiveNoFileComp
	}
}

// needsQuotes is true of an offer that the shell would not take as it is: names and ids do not look like that, and what a server
// has to offer must not become a command.
func needsQuotes(offer cobra.Completion) bool {
	word, _, _ := strings.Cut(offer, "\t")
	return word == "" || word[0] == '-' || quoteShell(word) != word
}

// completeServices offers the names of the services that the person may see.
func completeServices(flags asker) completer {
	return completeNames(flags, func(ctx context.Context, server *api.Client) (names []cobra.Completion, err error) {
		services, err := server.Services(ctx)
		for _, s := range services {
			names = append(names, cobra.CompletionWithDesc(string(s.Name), string(s.State)))
		}
		return names, err
	})
}

// completeSessions offers the ids of the sessions that the person may see.
func completeSessions(flags asker) completer {
	return completeNames(flags, func(ctx context.Context, server *api.Client) (ids []cobra.Completion, err error) {
		sessions, err := server.Sessions(ctx)
		for _, s := range sessions {
			ids = append(ids, cobra.CompletionWithDesc(s.ID, fmt.Sprintf("%s from %s", s.Service, s.Source)))
		}
		return ids, err
	})
}

// first completes the first argument only.
func first(complete completer) completer {
	return func(cmd *cobra.Command, given []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(given) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return complete(cmd, given, typed)
	}
}

// once does not offer again what was given.
func once(complete completer) completer {
	return func(cmd *cobra.Command, given []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
		names, directive := complete(cmd, given, typed)
		return slices.DeleteFunc(names, func(name cobra.Completion) bool {
			word, _, _ := strings.Cut(name, "\t")
			return slices.Contains(given, word)
		}), directive
	}
}

// completeContexts offers the names of the person's logins.
func completeContexts(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	contexts, err := client.Open("")
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	logins, err := contexts.List()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []cobra.Completion
	for _, l := range logins {
		names = append(names, cobra.CompletionWithDesc(l.Context, visible(l.URL+" as "+l.User)))
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
