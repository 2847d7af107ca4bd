package identity

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"jackfield/internal/store"
)

// Everything is under one prefix, so that one watch tells of it in the order in which it happened: a user's removal before that of
// the tokens, and a token after its user.
const (
	prefix      = "identity."
	userPrefix  = prefix + "user."
	tokenPrefix = prefix + "token."
)

// keyWord makes a word of a key from a name. Different names give different words.
var keyWord = strings.NewReplacer("_", "__", ".", "_d", "@", "_a")

func userKey(name string) string { return userPrefix + keyWord.Replace(name) }

func tokenKey(id string) string { return tokenPrefix + id }

// A userRecord is a user as the store has it.
type userRecord struct {
	Name     string    `json:"name"`
	ID       string    `json:"id"`
	Groups   []string  `json:"groups,omitempty"`
	Admin    bool      `json:"admin,omitempty"`
	Disabled bool      `json:"disabled,omitempty"`
	Password string    `json:"password,omitempty"` // PHC string format
	First    bool      `json:"first,omitempty"`    // made at the first start, and nobody has logged in yet
	Created  time.Time `json:"created"`
	Updated  time.Time `json:"updated"`
}

// A tokenRecord is a token as the store has it.
type tokenRecord struct {
	User    string    `json:"user"`
	UserID  string    `json:"user_id"`
	Hash    string    `json:"sha256"`
	Label   string    `json:"label,omitempty"`
	Scopes  []Scope   `json:"scopes"`
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"`
	OneTime bool      `json:"one_time,omitempty"`
	First   bool      `json:"first,omitempty"` // of the first start: good as long as the user is First
}

// A user is who counts under a name: the file's, or else the store's. It is never changed, only replaced.
type user struct {
	User
	password PasswordHash
	first    bool
}

// A token is never changed, only replaced.
type token struct {
	Token
	userID string
	hash   string
	first  bool
}

func newID() string {
	var id [16]byte
	rand.Read(id[:]) // never fails
	return hex.EncodeToString(id[:])
}

func decodeUser(e store.Entry) (*userRecord, error) {
	var r userRecord
	if err := json.Unmarshal(e.Value, &r); err != nil {
		return nil, hideValue(err)
	}
	if userKey(r.Name) != e.Key || r.ID == "" {
		return nil, errors.New("the entry is not the user's of its key")
	}
	return &r, nil
}

func (r *userRecord) user(revision uint64) (*user, error) {
	u := &user{
		User: User{
			Name: r.Name, ID: r.ID, Groups: r.Groups, Admin: r.Admin, Disabled: r.Disabled, HasPassword: r.Password != "",
			Source: FromStore, Created: r.Created, Updated: r.Updated, Revision: revision,
		},
		first: r.First,
	}
	if r.Password == "" {
		return u, nil
	}
	var err error
	u.password, err = ParsePasswordHash(r.Password)
	return u, err
}

func decodeToken(e store.Entry) (*token, error) {
	var r tokenRecord
	if err := json.Unmarshal(e.Value, &r); err != nil {
		return nil, hideValue(err)
	}
	if len(r.Hash) != hex.EncodedLen(32) || tokenKey(tokenID(r.Hash)) != e.Key || r.UserID == "" || r.Expires.IsZero() {
		return nil, errors.New("the entry is not the token's of its key")
	}
	return r.token(e.Revision), nil
}

func (r *tokenRecord) token(revision uint64) *token {
	return &token{
		Token: Token{
			ID: tokenID(r.Hash), User: r.User, Label: r.Label, Scopes: r.Scopes, Created: r.Created, Expires: r.Expires,
			OneTime: r.OneTime, Revision: revision,
		},
		userID: r.UserID, hash: r.Hash, first: r.First,
	}
}

// hideValue keeps what is in an entry out of errors about it.
func hideValue(err error) error {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Errorf("the entry is not JSON, from byte %d on", syntax.Offset)
	}
	return errors.New("the entry does not have the form that this version of Jackfield writes")
}
