package interop

import (
	"fmt"
	"strings"
)

// inputs are the rows of the table, in its order.
var inputs = []input{
	one("plussvc\r\n"),
	one("PLUSSVC\r\n"),
	one("dedsvc\r\n"),
	one("DedSvc\r\n"),
	one("nosuch\r\n"),
	one("help\r\n"),
	one("HELP\r\n"),
	one("\r\n"),
	one("\n"),
	one("plussvc\n"),
	one("plussvc\r"),
	{segments: []string{"plus", "svc\r", "\n"}},
	one("plussvc\r\nDATA"),
	{segments: []string{"plus", "svc\r\nDATA"}},
	{segments: []string{"plussvc\r\nDATA"}, end: true},
	one("nosuch\r\nextra\r\n"),
	one(" plussvc\r\n"),
	one("plussvc \r\n"),
	one("plus\r\n"),
	one("plussvcx\r\n"),
	one("+plussvc\r\n"),
	one("plussvc\x00x\r\n"),
	one("plussvc\r\r\n"),
	one("plussvc\r\n\r\n"),
	one("\xff\xfe\x80\r\n"),
	long(256, "\r\n"),
	long(257, "\r\n"),
	long(1022, "\r\n"),
	long(1023, "\r\n"),
	long(10000, "\r\n"),
	long(100000, ""),
	{},
	{end: true},
	{segments: []string{"plussvc"}, end: true},
}

func one(segment string) input { return input{segments: []string{segment}} }

func long(n int, lineEnd string) input {
	shown := fmt.Sprintf("`a` × %d", n)
	if lineEnd != "" {
		shown += ", " + code(lineEnd)
	}
	return input{segments: []string{strings.Repeat("a", n) + lineEnd}, shown: shown}
}

func (in input) String() string {
	var parts []string
	switch {
	case in.shown != "":
		parts = append(parts, in.shown)
	case len(in.segments) == 0:
		parts = append(parts, "nothing")
	}
	if in.shown == "" {
		for _, segment := range in.segments {
			parts = append(parts, code(segment))
		}
	}
	if in.end {
		parts = append(parts, "end")
	}
	return strings.Join(parts, ", ")
}

func (o outcome) String() string {
	if o.reply == "" {
		return string(o.end)
	}
	return code(o.reply) + " " + string(o.end)
}

// code writes bytes as a Go string literal without its quotes, in a Markdown code span.
func code(bytes string) string {
	quoted := fmt.Sprintf("%+q", bytes)
	quoted = strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
	if strings.HasPrefix(quoted, " ") {
		quoted = `\x20` + quoted[1:] // Markdown shows no space at the edge of a code span
	}
	return "`" + strings.Replace(quoted, ` \r\n`, `\x20\r\n`, 1) + "`"
}
