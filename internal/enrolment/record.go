package enrolment

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"jackfield"
	"jackfield/internal/access"
)

const prefix = "agent."

// A record is an agent as the store has it, under prefix and its name.
type record struct {
	Name      string    `json:"name"`
	ID        string    `json:"id"`
	Offers    []string  `json:"offers,omitempty"`
	Owner     Owner     `json:"owner,omitzero"`
	Created   time.Time `json:"created"`
	CreatedBy string    `json:"created_by,omitempty"`
	Enrolled  time.Time `json:"enrolled,omitzero"`
	Serial    string    `json:"serial,omitempty"`
	Renewed   string    `json:"renewed,omitempty"`
	Draining  bool      `json:"draining,omitempty"`

	TokenHash    string    `json:"token_sha256,omitempty"`
	TokenExpires time.Time `json:"token_expires,omitzero"`

	// NewName is set while the agent is being renamed. Then nothing else of the record is changed, and it does not count any more
	// when there is a record of that name and the same ID.
	NewName string `json:"new_name,omitempty"`
}

func decode(name string, value []byte) (record, error) {
	var r record
	if json.Unmarshal(value, &r) != nil { // without its error, which may quote the value
		return record{Name: name}, errors.New("it is not JSON of the form that this version of Jackfield writes")
	}
	if r.Name != name || r.ID == "" {
		return record{Name: name}, errors.New("it is not the agent's of its key")
	}
	return r, nil
}

func (r *record) agent() Agent {
	return Agent{
		Name: r.Name, ID: r.ID, Offers: slices.Clone(r.Offers), Owner: r.Owner, Created: r.Created, CreatedBy: r.CreatedBy,
		Enrolled: r.Enrolled, Serial: r.Serial, Renewed: r.Renewed, Draining: r.Draining, Waiting: r.TokenExpires,
	}
}

// serials are those of its certificates.
func (r *record) serials() []string {
	var all []string
	for _, serial := range []string{r.Serial, r.Renewed} {
		if serial != "" {
			all = append(all, serial)
		}
	}
	return all
}

func newID() string {
	var id [16]byte
	rand.Read(id[:]) // never fails
	return hex.EncodeToString(id[:])
}

// reservedName is a path of the API beside those of the agents.
const reservedName = "join"

// parseName returns the name that an agent can be enrolled under.
func parseName(name string) (string, error) {
	if err := jackfield.CheckLabel(name); err != nil {
		return "", jackfield.Refuse(jackfield.Invalid, fmt.Sprintf("an agent's name is a DNS label: %v", err), nil)
	}
	name = strings.ToLower(name)
	if name == reservedName {
		return "", jackfield.Refuse(jackfield.Invalid, fmt.Sprintf("no agent can be called %q", reservedName), nil)
	}
	return name, nil
}

// MaxOffers is how many patterns an agent may have.
const MaxOffers = 100

// parseOffers returns patterns as they are kept: in lower case, sorted, each once.
func parseOffers(offers []string) ([]string, error) {
	if len(offers) > MaxOffers {
		return nil, jackfield.Refuse(jackfield.Invalid, fmt.Sprintf("an agent has at most %d patterns of services", MaxOffers), nil)
	}
	kept := make([]string, 0, len(offers))
	for _, pattern := range offers {
		if err := access.CheckPattern(pattern); err != nil {
			return nil, jackfield.Refuse(jackfield.Invalid, fmt.Sprintf("the pattern %.100q: %v", pattern, err), nil)
		}
		kept = append(kept, strings.ToLower(pattern))
	}
	slices.Sort(kept)
	return slices.Compact(kept), nil
}
