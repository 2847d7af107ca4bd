package inedo

import (
	"encoding/hex"
	"fmt"
	"slices"
)

// A GUID is a Guid in the order in which it is printed. In messages it has the order of .NET's Guid.ToByteArray: the
// first three groups are little endian.
type GUID [16]byte

// protocolID is the Protocol ID of the handshake, 6CEBD24E-4AF7-4A13-B9AF-81D3DFC644BE.
var protocolID = GUID{0x6c, 0xeb, 0xd2, 0x4e, 0x4a, 0xf7, 0x4a, 0x13, 0xb9, 0xaf, 0x81, 0xd3, 0xdf, 0xc6, 0x44, 0xbe}

// ParseGUID reads 32 hexadecimal digits in groups of 8, 4, 4, 4 and 12 with hyphens between.
func ParseGUID(s string) (GUID, error) {
	var g GUID
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return GUID{}, fmt.Errorf("%w: not a Guid", ErrData)
	}
	digits := s[:8] + s[9:13] + s[14:18] + s[19:23] + s[24:]
	if _, err := hex.Decode(g[:], []byte(digits)); err != nil {
		return GUID{}, fmt.Errorf("%w: not a Guid", ErrData)
	}
	return g, nil
}

func (g GUID) String() string {
	return fmt.Sprintf("%X-%X-%X-%X-%X", g[:4], g[4:6], g[6:8], g[8:10], g[10:])
}

// swap changes the printed order into .NET's, and back.
func (g GUID) swap() GUID {
	slices.Reverse(g[:4])
	slices.Reverse(g[4:6])
	slices.Reverse(g[6:8])
	return g
}
