//go:build linux

// The benchmark measures Jackfield beside programs that do the same, on this machine and on loopback only:
//
//	go run ./bench relay
//	go run ./bench tcpmux
//	go run ./bench mapper
//	go run ./bench tunnel
//	go run ./bench store
//	go run ./bench connect
//	go run ./bench agent
//
// It starts the real binary as a child process, as it starts every peer, and knows nothing of what is inside; only the
// stores are measured within the benchmark, as they are within Jackfield. Each subcommand is one scenario; compare, stats and
// process are what scenarios have in common. How to read what it prints is in docs/benchmarks.md.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"jackfield/bench/backend"
	"jackfield/bench/fleet"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := command().ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func command() *cobra.Command {
	root := &cobra.Command{
		Use:           "bench",
		Short:         "Measure Jackfield beside programs that do the same",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(relayCommand(), tcpmuxCommand(), mapperCommand(), tunnelCommand(), storeCommand(), connectCommand(), agentCommand(),
		backendCommand(), fleetCommand())
	return root
}

// backendCommand is what the benchmark starts itself with, to have its service in a process of its own.
func backendCommand() *cobra.Command {
	return &cobra.Command{
		Use:    backend.Command,
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE:   func(cmd *cobra.Command, _ []string) error { return backend.Child(cmd.Context()) },
	}
}

// fleetCommand is what the benchmark starts itself with, to have many agents in one process.
func fleetCommand() *cobra.Command {
	return &cobra.Command{
		Use:    fleet.Command + " SERVICE DIRECTORY...",
		Hidden: true,
		Args:   cobra.MinimumNArgs(2),
		RunE:   func(cmd *cobra.Command, args []string) error { return fleet.Child(cmd.Context(), args[0], args[1:]) },
	}
}
