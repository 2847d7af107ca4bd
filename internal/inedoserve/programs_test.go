//go:build unix

package inedoserve

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// programs are what the test binary can be as a handler.
var programs = map[string]func(){
	"upper": func() { converse(answer) },
	"pid":   func() { converse(func(h header, _ []byte) { answer(h, []byte(strconv.Itoa(os.Getpid()))) }) },
	"ended": func() { // says which connections have ended
		var ended []string
		converse(func(h header, _ []byte) {
			if h.length == endOfConnection {
				ended = append(ended, fmt.Sprint(h.connection))
				return
			}
			answer(h, []byte(strings.Join(ended, " ")))
		})
	},
	"hangs up": func() {
		converse(func(h header, data []byte) {
			if h.length == endOfConnection {
				return
			}
			answer(h, data)
			os.Stdout.Write(header{h.connection, endOfConnection, 0}.marshal())
		})
	},
	"strangers": func() { // speaks to connections that are not there, and then to the one that is
		converse(func(h header, data []byte) {
			for _, number := range []int32{-1, 0, h.connection + 1, math.MaxInt32} {
				answer(header{connection: number, command: 7}, bytes.Repeat([]byte("x"), 100_000))
				os.Stdout.Write(header{number, endOfConnection, 0}.marshal())
			}
			answer(h, data)
		})
	},
	"once":          func() { first(func(h header, data []byte) { answer(h, data) }) },
	"fails":         func() { first(func(header, []byte) { os.Exit(3) }) },
	"exits at once": func() {},
	"too long":      func() { first(func(h header, _ []byte) { raw(h.connection, 1<<20+1, 1); await() }) },
	"too negative":  func() { first(func(h header, _ []byte) { raw(h.connection, -2, 1); await() }) },
	"2 GiB":         func() { first(func(h header, _ []byte) { raw(h.connection, math.MaxInt32, 1); await() }) },
	"garbage":       func() { first(func(header, []byte) { os.Stdout.Write(bytes.Repeat([]byte{0xee}, 4096)); await() }) },
	"cut":           func() { first(func(h header, _ []byte) { raw(h.connection, 10, 1); os.Stdout.WriteString("12345") }) },
	"cut header":    func() { first(func(h header, _ []byte) { os.Stdout.Write([]byte{1, 0, 0}) }) },
	"closes input":  func() { first(func(h header, data []byte) { os.Stdin.Close(); answer(h, data); await() }) },
	"deaf":          func() { first(func(h header, data []byte) { answer(h, data) }); await() },
	"floods": func() {
		first(func(h header, _ []byte) {
			for block := bytes.Repeat([]byte("y"), 64<<10); ; {
				answer(h, block)
			}
		})
	},
	"stubborn": func() {
		signal.Ignore(syscall.SIGTERM)
		converse(answer)
		await()
	},
	"family": func() { // has a child that holds the file open which a message names
		converse(func(h header, data []byte) {
			if h.length == endOfConnection {
				return
			}
			child := exec.Command("sh", "-c", `trap "" TERM; exec 3> "$0"; echo ready >&3; while :; do sleep 1000; done`, string(data))
			if err := child.Start(); err != nil {
				os.Exit(4)
			}
			answer(h, nil)
		})
	},
}

// converse calls handle for each frame, until there are no more.
func converse(handle func(h header, data []byte)) {
	frames := newFrameReader(os.Stdin, math.MaxInt32)
	for {
		h, err := frames.next()
		if err != nil {
			return
		}
		data, err := frames.data()
		if err != nil {
			os.Exit(5)
		}
		handle(h, data)
	}
}

// first is converse for one frame.
func first(handle func(h header, data []byte)) {
	in := bufio.NewReaderSize(os.Stdin, 16) // and nothing beyond it
	frames := &frameReader{r: in, max: math.MaxInt32}
	h, err := frames.next()
	if err != nil {
		return
	}
	data, _ := frames.data()
	handle(h, data)
}

// answer answers in capitals.
func answer(h header, data []byte) {
	if h.length == endOfConnection {
		return
	}
	data = bytes.ToUpper(data)
	wire := append(header{h.connection, int32(len(data)), h.command}.marshal(), data...)
	if _, err := os.Stdout.Write(wire); err != nil {
		os.Exit(6)
	}
}

func raw(connection, length, command int32) {
	binary.Write(os.Stdout, binary.LittleEndian, []int32{connection, length, command})
}

// await waits to be killed.
func await() { time.Sleep(time.Hour) }
