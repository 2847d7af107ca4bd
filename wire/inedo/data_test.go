package inedo

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestDataGolden(t *testing.T) {
	long := strings.Repeat("x", 300)
	for name, row := range map[string]struct {
		encode func(*Encoder)
		decode func(*Decoder) any
		value  any
		wire   string
	}{
		"byte":           {func(e *Encoder) { e.Byte(0xfe) }, func(d *Decoder) any { return d.Byte() }, byte(0xfe), "fe"},
		"int32":          {func(e *Encoder) { e.Int32(1000) }, func(d *Decoder) any { return d.Int32() }, int32(1000), "e8030000"},
		"int32, least":   {func(e *Encoder) { e.Int32(math.MinInt32) }, func(d *Decoder) any { return d.Int32() }, int32(math.MinInt32), "00000080"},
		"int64":          {func(e *Encoder) { e.Int64(-2) }, func(d *Decoder) any { return d.Int64() }, int64(-2), "feffffffffffffff"},
		"empty string":   {func(e *Encoder) { e.Text("") }, func(d *Decoder) any { return d.Text() }, "", "00"},
		"string":         {func(e *Encoder) { e.Text(goldenPath) }, func(d *Decoder) any { return d.Text() }, goldenPath, "0f433a5c496e65646f546d705c6f7472"},
		"string, UTF-8":  {func(e *Encoder) { e.Text("ß€") }, func(d *Decoder) any { return d.Text() }, "ß€", "05c39fe282ac"},
		"string of 300":  {func(e *Encoder) { e.Text(long) }, func(d *Decoder) any { return d.Text() }, long, "ac02" + strings.Repeat("78", 300)},
		"no time":        {func(e *Encoder) { e.Time(time.Time{}) }, func(d *Decoder) any { return d.Time() }, time.Time{}, "0000000000000000"},
		"1970":           {func(e *Encoder) { e.Time(time.Unix(0, 0)) }, func(d *Decoder) any { return d.Time() }, time.Unix(0, 0).UTC(), "0080b5f7f57f9f08"},
		"the last tick":  {func(e *Encoder) { e.Time(lastTick) }, func(d *Decoder) any { return d.Time() }, lastTick, "ff3f37f47528ca2b"},
		"Guid":           {func(e *Encoder) { e.GUID(protocolID) }, func(d *Decoder) any { return d.GUID() }, protocolID, "4ed2eb6cf74a134ab9af81d3dfc644be"},
		"array of bytes": {func(e *Encoder) { e.Bytes([]byte("abc")) }, func(d *Decoder) any { return string(d.Bytes()) }, "abc", "03000000616263"},
		"raw":            {func(e *Encoder) { e.Raw([]byte("abc")) }, func(d *Decoder) any { return string(d.Rest()) }, "abc", "616263"},
	} {
		t.Run(name, func(t *testing.T) {
			var e Encoder
			row.encode(&e)
			wire, err := e.Data()
			if err != nil || !bytes.Equal(wire, unhex(row.wire)) {
				t.Errorf("%x, %v; wanted %s", wire, err, row.wire)
			}
			d := NewDecoder(unhex(row.wire))
			if got := row.decode(d); d.Finish() != nil || got != row.value {
				t.Errorf("%v, %v; wanted %v", got, d.Finish(), row.value)
			}
			for n := range len(wire) { // cut
				d := NewDecoder(wire[:n])
				if got := row.decode(d); d.Err() == nil && name != "raw" {
					t.Errorf("%d of %d bytes: %v", n, len(wire), got)
				}
			}
		})
	}
}

var lastTick = time.Date(9999, 12, 31, 23, 59, 59, 999_999_900, time.UTC)

func TestDecoderRefuses(t *testing.T) {
	text := func(d *Decoder) { d.Text() }
	for name, row := range map[string]struct {
		wire   string
		decode func(*Decoder)
	}{
		"string longer than the data":   {"0561", text},
		"string of 2 GiB":               {"ffffffff0761", text},
		"string of more":                {"ffffffff0f61", text},
		"length of six bytes":           {"808080808000", text},
		"length without end":            {"ffffffffffffffffffff", text},
		"length that is cut":            {"80", text},
		"string that is not UTF-8":      {"02c328", text},
		"negative array":                {"ffffffff", func(d *Decoder) { d.Bytes() }},
		"array longer than the data":    {"0400000001", func(d *Decoder) { d.Bytes() }},
		"more items than fit":           {"020000000102030405060708090a", func(d *Decoder) { d.Count(8) }},
		"items of no size":              {"0b0000000102030405060708090a", func(d *Decoder) { d.Count(0) }},
		"negative time":                 {"ffffffffffffffff", func(d *Decoder) { d.Time() }},
		"time beyond the year 9999":     {"004037f47528ca2b", func(d *Decoder) { d.Time() }},
		"time with .NET's kind":         {"0080b5f7f57f9f48", func(d *Decoder) { d.Time() }},
		"negative number of bytes":      {"00", func(d *Decoder) { d.Raw(-1) }},
		"bytes that nobody asked about": {"00", func(d *Decoder) {}},
	} {
		t.Run(name, func(t *testing.T) {
			d := NewDecoder(unhex(row.wire))
			row.decode(d)
			err := d.Finish()
			if !errors.Is(err, ErrData) {
				t.Fatal(err)
			}
			if d.Byte() != 0 || d.Int32() != 0 || d.Int64() != 0 || d.Text() != "" || d.Count(1) != 0 || d.Raw(0) != nil ||
				d.GUID() != (GUID{}) || !d.Time().IsZero() || d.Finish() != err {
				t.Error("after a mistake there is more")
			}
		})
	}
}

// A length need not have its shortest form: .NET takes it so.
func TestLongLength(t *testing.T) {
	d := NewDecoder(unhex("818080800061"))
	if s := d.Text(); s != "a" || d.Finish() != nil {
		t.Errorf("%q, %v", s, d.Finish())
	}
}

func TestEncoderRefuses(t *testing.T) {
	for name, encode := range map[string]func(*Encoder){
		"string that is not UTF-8": func(e *Encoder) { e.Text("\xff") },
		"negative count":           func(e *Encoder) { e.Count(-1) },
		"year 0":                   func(e *Encoder) { e.Time(time.Time{}.Add(-1)) },
		"year 10000":               func(e *Encoder) { e.Time(lastTick.Add(100)) },
		"extensions of meta":       func(e *Encoder) { UpdateAgent{Extensions: make([]UpdateFile, 1)}.Encode(e) },
	} {
		var e Encoder
		encode(&e)
		e.Int32(1)
		if data, err := e.Data(); !errors.Is(err, ErrData) || data != nil {
			t.Errorf("%s: %x, %v", name, data, err)
		}
	}
}

func anUpdate() UpdateAgent {
	day := time.Date(2019, 7, 19, 12, 0, 0, 0, time.UTC)
	return UpdateAgent{
		Type: Otter,
		Assemblies: []UpdateFile{
			{Name: "Otter.Agent.dll", Modified: day, Content: []byte("MZ")},
			{Name: "empty.dll", Modified: day.Add(100), Content: []byte{}},
		},
		Extensions: []UpdateFile{{Name: "Windows.upack", Modified: day, Content: []byte("PK")}},
	}
}

func sameFile(a, b UpdateFile) bool {
	return a.Name == b.Name && a.Modified.Equal(b.Modified) && bytes.Equal(a.Content, b.Content)
}

func sameUpdate(a, b UpdateAgent) bool {
	return a.Type == b.Type && slices.EqualFunc(a.Assemblies, b.Assemblies, sameFile) &&
		slices.EqualFunc(a.Extensions, b.Extensions, sameFile)
}

func TestUpdateAgent(t *testing.T) {
	update := anUpdate()
	data, err := Marshal(update)
	if err != nil {
		t.Fatal(err)
	}
	var got UpdateAgent
	if err := Unmarshal(data, &got); err != nil || !sameUpdate(got, update) {
		t.Errorf("%+v, %v", got, err)
	}
	if err := Unmarshal(append(data, "what a later version adds"...), &got); err != nil || !sameUpdate(got, update) {
		t.Errorf("with more: %+v, %v", got, err)
	}
	for n := range data {
		if err := Unmarshal(data[:n], &got); !errors.Is(err, ErrData) {
			t.Errorf("%d of %d bytes: %v", n, len(data), err)
		}
	}
}

// An agent's own update has no extensions; whether their empty array is there does not matter.
func TestUpdateMeta(t *testing.T) {
	update := UpdateAgent{Assemblies: anUpdate().Assemblies}
	data, err := Marshal(update)
	if err != nil {
		t.Fatal(err)
	}
	for _, data := range [][]byte{data, data[:len(data)-4]} {
		var got UpdateAgent
		if err := Unmarshal(data, &got); err != nil || !sameUpdate(got, update) {
			t.Errorf("%+v, %v", got, err)
		}
	}
}

func TestUpdateRefused(t *testing.T) {
	for name, data := range map[string]string{
		"type":                   "040000000000000000",
		"no files":               "01",
		"negative files":         "01ffffffff",
		"more files than fit":    "01ffffff7f00000000",
		"content of 2 GiB":       "0101000000" + "0161" + "0000000000000000" + "ffffff7f",
		"content that is absent": "0101000000" + "0161" + "0000000000000000" + "01000000",
	} {
		var got UpdateAgent
		if err := Unmarshal(unhex(data), &got); !errors.Is(err, ErrData) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

var hostileNames = []string{
	"", ".", "..", "...", "a/b", "/a", `a\b`, `\a`, `..\a`, "../a", "c:", "c:a", "a:stream", "a\x00", "a\n", "\x7f", "a*", "a?",
	`"a"`, "<", ">", "|", "a ", "a.", "a. .", "nul", "NUL.txt", "con", "Aux.tar.gz", "COM1", "com9.dll", "LPT¹", "nul .txt", "CONIN$",
	strings.Repeat("a", 256),
}

func TestFileNames(t *testing.T) {
	for _, name := range []string{"a", "Otter.Agent.dll", "Windows-1.2.3+4.upack", ".hidden", "ü.dll", " a", "com", "com10", "console.dll", "nullable.dll", strings.Repeat("a", 255)} {
		if err := CheckFileName(name); err != nil {
			t.Error(err)
		}
	}
	for _, name := range hostileNames {
		if err := CheckFileName(name); !errors.Is(err, ErrFileName) || len(err.Error()) > 1000 {
			t.Errorf("%.20q: %v", name, err)
		}
		update := anUpdate()
		update.Extensions[0].Name = name
		data, err := Marshal(update)
		if err != nil {
			t.Fatal(err)
		}
		var got UpdateAgent
		if err := Unmarshal(data, &got); !errors.Is(err, ErrFileName) {
			t.Errorf("%.20q: %v", name, err)
		}
	}
}

func TestRootPath(t *testing.T) {
	data, err := Marshal(GetAgentRootPath{Otter})
	if err != nil || !bytes.Equal(data, []byte{1}) {
		t.Errorf("%x, %v", data, err)
	}
	var ask GetAgentRootPath
	if err := Unmarshal(data, &ask); err != nil || ask.Type != Otter {
		t.Errorf("%+v, %v", ask, err)
	}
	for _, data := range [][]byte{{}, {0}, {4}, {255}} {
		if err := Unmarshal(data, &ask); !errors.Is(err, ErrData) {
			t.Errorf("%x: %+v, %v", data, ask, err)
		}
	}
}
