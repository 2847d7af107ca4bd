package control

import "jackfield/wire/inedo"

// Tunnel is TCPRemoteConnect, with the arguments that the Mihini document gives that command: the agent opens a Mihini tunnel.
// What is empty, or 0, comes from the agent's configuration.
type Tunnel struct {
	Number        int64 // joins the answer to the question
	ServerAddress string
	ServerPort    int32
	LocalAddress  string
	LocalPort     int32
}

func (*Tunnel) code() int32 { return codeTunnel }

func (m *Tunnel) put(e *inedo.Encoder) {
	e.Int64(m.Number)
	e.Text(m.ServerAddress)
	e.Int32(m.ServerPort)
	e.Text(m.LocalAddress)
	e.Int32(m.LocalPort)
}

func (m *Tunnel) take(d *inedo.Decoder) {
	m.Number = d.Int64()
	m.ServerAddress = d.Text()
	m.ServerPort = d.Int32()
	m.LocalAddress = d.Text()
	m.LocalPort = d.Int32()
}

// TunnelResult answers it.
type TunnelResult struct {
	Number  int64
	Problem string // empty: the link to the server is up
}

func (*TunnelResult) code() int32 { return codeTunnelResult }

func (m *TunnelResult) put(e *inedo.Encoder) {
	e.Int64(m.Number)
	e.Text(m.Problem)
}

func (m *TunnelResult) take(d *inedo.Decoder) {
	m.Number = d.Int64()
	m.Problem = d.Text()
}

// Renew asks for a new certificate for the agent.
type Renew struct{ Request string } // PKCS #10, in PEM

func (*Renew) code() int32             { return codeRenew }
func (m *Renew) put(e *inedo.Encoder)  { e.Text(m.Request) }
func (m *Renew) take(d *inedo.Decoder) { m.Request = d.Text() }

// Renewed answers it.
type Renewed struct {
	Certificate string // PEM
	Authority   string // certificates in PEM
	Problem     string // empty: here they are
}

func (*Renewed) code() int32 { return codeRenew }

func (m *Renewed) put(e *inedo.Encoder) {
	e.Text(m.Certificate)
	e.Text(m.Authority)
	e.Text(m.Problem)
}

func (m *Renewed) take(d *inedo.Decoder) {
	m.Certificate = d.Text()
	m.Authority = d.Text()
	m.Problem = d.Text()
}
