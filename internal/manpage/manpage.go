// Package manpage writes manual pages for a command line that is made of cobra's commands: a page of section 1 for each.
//
//	manual := manpage.Manual{Version: "Frobnicate 1.2", Date: date, ExitStatus: "0 done, 1 failed"}
//	err := manual.Write("build/man", root)   // frobnicate.1, frobnicate-add.1, ...
//
// Rules:
//   - The page of "frobnicate add" is frobnicate-add(1), as git names its own.
//   - What a page says is what --help says. Paragraphs are filled; lines that begin with a space or a tab are shown as they are.
//   - Hidden and deprecated commands and options have no place in the manual, nor has "help", which is the manual's rival.
//   - Pages are ASCII, whatever the texts are, and the same for the same input.
//
// It does not read Markdown, and has no pages but those of commands.
package manpage

import (
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// section is that of programs that everybody may run.
const section = "1"

// A Manual is what its pages have in common.
type Manual struct {
	Version    string    // of the program, with its name; in the footer
	Date       time.Time // in the footer, as UTC
	ExitStatus string    // what the exit status of every command means
	SeeAlso    []string  // pages that are not those of commands, such as "frobnicate.conf(5)"; on the root's page
}

// Write makes the directory, where it does not exist, and writes the pages of root and of all commands below it.
func (m Manual) Write(dir string, root *cobra.Command) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	file := filepath.Join(dir, name(root)+"."+section)
	if err := os.WriteFile(file, m.Page(root), 0o644); err != nil {
		return err
	}
	for _, c := range listed(root) {
		if err := m.Write(dir, c); err != nil {
			return err
		}
	}
	return nil
}

// Page is the page of one command.
func (m Manual) Page(cmd *cobra.Command) []byte {
	var p page
	p.macro("TH", escape(strings.ToUpper(name(cmd))), section, m.Date.UTC().Format(time.DateOnly), escape(m.Version), "User Commands")
	p.macro("SH", "NAME")
	p.line(escape(name(cmd)) + ` \- ` + escape(cmd.Short))
	p.macro("SH", "SYNOPSIS")
	p.line(synopsis(cmd))
	p.macro("SH", "DESCRIPTION")
	p.text(description(cmd))
	p.commands(listed(cmd))
	p.options(cmd)
	if cmd.Example != "" {
		p.macro("SH", "EXAMPLES")
		p.text(cmd.Example)
	}
	if m.ExitStatus != "" {
		p.macro("SH", "EXIT STATUS")
		p.text(m.ExitStatus)
	}
	p.seeAlso(m.related(cmd))
	return p.Bytes()
}

// name is that of the command's page, without the section.
func name(cmd *cobra.Command) string { return strings.ReplaceAll(cmd.CommandPath(), " ", "-") }

func reference(cmd *cobra.Command) string { return name(cmd) + "(" + section + ")" }

// listed are the commands below one that have a page.
func listed(cmd *cobra.Command) []*cobra.Command {
	var list []*cobra.Command
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() && c.Name() != "help" {
			list = append(list, c)
		}
	}
	return list
}

func synopsis(cmd *cobra.Command) string {
	arguments := strings.TrimPrefix(cmd.UseLine(), cmd.CommandPath())
	if len(listed(cmd)) > 0 {
		arguments = " COMMAND" + arguments
	}
	return bold(cmd.CommandPath()) + escape(arguments)
}

func description(cmd *cobra.Command) string {
	if cmd.Long != "" {
		return cmd.Long
	}
	return strings.TrimSuffix(cmd.Short, ".") + "."
}

func (p *page) commands(list []*cobra.Command) {
	if len(list) == 0 {
		return
	}
	p.macro("SH", "COMMANDS")
	for _, c := range list {
		p.macro("TP")
		p.line(bold(name(c)) + "(" + section + ")")
		p.line(escape(c.Short))
	}
}

func (p *page) options(cmd *cobra.Command) {
	cmd.InitDefaultHelpFlag()
	cmd.InitDefaultVersionFlag()
	p.macro("SH", "OPTIONS")
	show := func(f *pflag.Flag) {
		if f.Hidden || f.Deprecated != "" {
			return
		}
		p.macro("TP")
		p.line(option(f))
		_, usage := pflag.UnquoteUsage(f)
		p.line(escape(usage + defaultOf(f)))
	}
	cmd.LocalFlags().VisitAll(show)
	cmd.InheritedFlags().VisitAll(show)
}

func option(f *pflag.Flag) string {
	text := bold("--" + f.Name)
	if f.Shorthand != "" {
		text = bold("-"+f.Shorthand) + ", " + text
	}
	if value, _ := pflag.UnquoteUsage(f); value != "" {
		text += " " + italic(value)
	}
	return text
}

// defaultOf says what an option is when it is not given, where that is worth a word.
func defaultOf(f *pflag.Flag) string {
	switch f.DefValue {
	case "", "false", "0", "0s", "[]":
		return ""
	}
	return " (default " + f.DefValue + ")"
}

// related are the pages that the reader may want next. Those of the commands below stand among its commands.
func (m Manual) related(cmd *cobra.Command) []string {
	if cmd.HasParent() {
		return []string{reference(cmd.Parent())}
	}
	return m.SeeAlso
}

func (p *page) seeAlso(references []string) {
	if len(references) == 0 {
		return
	}
	p.macro("SH", "SEE ALSO")
	for i, r := range references {
		title, number, _ := strings.Cut(r, "(")
		line := bold(title) + "(" + number
		if i < len(references)-1 {
			line += ","
		}
		p.line(line)
	}
}
