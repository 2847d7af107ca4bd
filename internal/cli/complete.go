package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"jackfield/internal/client"
)

// completionPatience is how long somebody who has pressed Tab waits for a server.
const completionPatience = 2 * time.Second

// completeServices offers the names of the services that the person may use. Where there is no answer, nothing is offered.
func completeServices(cmd *cobra.Command, given []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	flag, _ := cmd.Flags().GetString("context")
	flags := loginFlags{flag}
	server, err := flags.server()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	defer server.Close()
	ctx, cancel := context.WithTimeout(cmd.Context(), completionPatience)
	defer cancel()
	services, err := server.API.Services(ctx)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []cobra.Completion
	for _, s := range services {
		names = append(names, cobra.CompletionWithDesc(string(s.Name), string(s.State)))
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeService offers names for the first argument.
func completeService(cmd *cobra.Command, given []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(given) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return completeServices(cmd, given, typed)
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
		names = append(names, cobra.CompletionWithDesc(l.Context, fmt.Sprintf("%s as %s", l.URL, l.User)))
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
