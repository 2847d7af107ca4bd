package inedo

import "time"

// The commands of meta messages: they are for the agent itself.
const (
	CommandUpdateAgent      int32 = 2 // UpdateAgent follows; no answer
	CommandGetAgentRootPath int32 = 3 // GetAgentRootPath follows, or the answer, AgentRootPath
)

// UpdateAgent asks an agent to replace its program, or one of its parts ("Update Agent"). It carries code that is to run:
// an agent that obeys must know whom it obeys, and no mode of this protocol proves that. This package only parses it.
type UpdateAgent struct {
	Type       AgentType
	Assemblies []UpdateFile
	Extensions []UpdateFile // none for Meta
}

// An UpdateFile is a file in UpdateAgent.
type UpdateFile struct {
	Name     string // CheckFileName holds for those received
	Modified time.Time
	Content  []byte
}

// GetAgentRootPath asks for the directory of the temporary files of a type other than Meta ("Get Agent Root Path").
type GetAgentRootPath struct {
	Type AgentType
}

// AgentRootPath answers GetAgentRootPath.
type AgentRootPath struct {
	Path string
}

// An Encodable is the data of a message.
type Encodable interface {
	Encode(*Encoder)
}

// A Decodable is the data of a message to be.
type Decodable interface {
	Decode(*Decoder)
}

// Marshal returns the data of a message.
func Marshal(data Encodable) ([]byte, error) {
	var e Encoder
	data.Encode(&e)
	return e.Data()
}

// Unmarshal reads the data of a message. Bytes that the message does not take are a mistake.
func Unmarshal(data []byte, into Decodable) error {
	d := NewDecoder(data)
	into.Decode(d)
	return d.Finish()
}

// Encode implements Encodable.
func (m UpdateAgent) Encode(e *Encoder) {
	e.Byte(byte(m.Type))
	encodeFiles(e, m.Assemblies)
	if m.Type == Meta && len(m.Extensions) > 0 {
		e.fail("extensions of the agent itself")
	}
	encodeFiles(e, m.Extensions)
}

// Decode implements Decodable. Meta messages may grow at the end, so what follows is ignored. The files' contents are part
// of the data.
func (m *UpdateAgent) Decode(d *Decoder) {
	*m = UpdateAgent{Type: decodeType(d, Meta)}
	m.Assemblies = decodeFiles(d)
	if m.Type != Meta {
		m.Extensions = decodeFiles(d)
	}
	d.Rest()
}

func encodeFiles(e *Encoder, files []UpdateFile) {
	e.Count(len(files))
	for _, f := range files {
		e.Text(f.Name)
		e.Time(f.Modified)
		e.Bytes(f.Content)
	}
}

// fileSize is the least number of bytes of an UpdateFile.
const fileSize = 1 + 8 + 4

func decodeFiles(d *Decoder) []UpdateFile {
	files := make([]UpdateFile, d.Count(fileSize))
	for i := range files {
		f := &files[i]
		f.Name, f.Modified, f.Content = d.Text(), d.Time(), d.Bytes()
		if d.Err() == nil {
			d.failWith(CheckFileName(f.Name))
		}
		if d.Err() != nil {
			return nil
		}
	}
	return files
}

// Encode implements Encodable.
func (m GetAgentRootPath) Encode(e *Encoder) { e.Byte(byte(m.Type)) }

// Decode implements Decodable. What follows is ignored.
func (m *GetAgentRootPath) Decode(d *Decoder) {
	m.Type = decodeType(d, Otter)
	d.Rest()
}

// Encode implements Encodable.
func (m AgentRootPath) Encode(e *Encoder) { e.Text(m.Path) }

// Decode implements Decodable. What follows is ignored. The path is the agent's, and need not mean anything here.
func (m *AgentRootPath) Decode(d *Decoder) {
	m.Path = d.Text()
	d.Rest()
}

func decodeType(d *Decoder, lowest AgentType) AgentType {
	t := AgentType(d.Byte())
	if t < lowest || t > Hedgehog {
		d.fail("%s", t)
		return 0
	}
	return t
}
