package config

// DeviceFile is the stored configuration of Jackfield in the place of a device.
type DeviceFile struct {
	Server        string   // "host:port"
	Allow         []string // whether they are good is not known here
	HoldEarlyData bool

	// TLS: all three, or none.
	CAFile, CertificateFile, KeyFile string
}

// deviceFile is its schema.
var deviceFile = &block{
	doc:     "The stored configuration of a device.",
	changes: atOnce,
	attributes: []attribute{
		{name: "server", kind: text{what: "`\"HOST:PORT\"`", check: checkDial}, doc: "The server's address for devices."},
		{name: "allow", kind: list{of: "addresses"}, doc: "What the server may reach."},
		{name: "hold_early_data", kind: boolean{}, fallback: "false", doc: "Keep what comes for a stream before it is opened."},
		{name: "ca_file", kind: text{what: "path", check: checkPath}, doc: "The certificates of the server's authority: the link has TLS."},
		{name: "certificate_file", kind: text{what: "path", check: checkPath}, doc: "The device's certificate."},
		{name: "key_file", kind: text{what: "path", check: checkPath}, doc: "Its key."},
	},
}

// LoadDeviceFile reads the stored configuration of a device. It is nil when there are errors.
func LoadDeviceFile(path string) (*DeviceFile, *Problems) {
	s, problems := loadOne(path, deviceFile)
	if s == nil {
		return nil, problems
	}
	out := &DeviceFile{
		Server:          s.text("server"),
		Allow:           s.checked("allow", checkWord),
		HoldEarlyData:   s.boolean("hold_early_data"),
		CAFile:          s.path(s.text("ca_file")),
		CertificateFile: s.path(s.text("certificate_file")),
		KeyFile:         s.path(s.text("key_file")),
	}
	problems.sort()
	if problems.HasErrors() {
		return nil, problems
	}
	return out, problems
}
