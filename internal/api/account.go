package api

import (
	"time"

	"jackfield/internal/identity"
)

// A Login is how somebody proves who they are, to get a token: by name and password, or by a one-time token.
type Login struct {
	User     string           `json:"user,omitempty" maxLength:"64"`
	Password string           `json:"password,omitempty"`
	Token    string           `json:"token,omitempty" doc:"a one-time token, instead of user and password; it is used up. Any other token is answered as it is, and nothing new is made"`
	Label    string           `json:"label,omitempty" doc:"what the new token is for" maxLength:"128" example:"laptop"`
	Scopes   []identity.Scope `json:"scopes,omitempty" doc:"of the new token; absent: read, write and connect, or those of the one-time token" enum:"admin,connect,read,write"`
	Lifetime Duration         `json:"lifetime,omitempty" doc:"of the new token; absent: 720h"`
}

// A Grant is a new token with its secret, which is never shown again.
type Grant struct {
	Secret string `json:"token" doc:"the secret to send as: Authorization: Bearer; it is never shown again"`
	Token
}

// A Token proves who its bearer is.
type Token struct {
	ID      string           `json:"id" doc:"not the secret; safe to show"`
	User    string           `json:"user"`
	Label   string           `json:"label"`
	Scopes  []identity.Scope `json:"scopes" enum:"admin,connect,read,write"`
	Created time.Time        `json:"created"`
	Expires time.Time        `json:"expires"`
	OneTime bool             `json:"one_time" doc:"good for one login and nothing else"`
}

// A TokenList is a part of the tokens, by user and id.
type TokenList struct {
	Tokens []Token `json:"tokens"`
	Next   string  `json:"next,omitempty" doc:"the cursor of the list's next part; absent at its end"`
}

// A NewToken is what a token is made of.
type NewToken struct {
	User     string           `json:"user,omitempty" doc:"whose it shall be; absent: the caller's own. Others' are for administrators" maxLength:"64"`
	Label    string           `json:"label,omitempty" doc:"what it is for" maxLength:"128"`
	Scopes   []identity.Scope `json:"scopes,omitempty" doc:"among those of the caller; absent: read, write and connect, as far as the caller has them" enum:"admin,connect,read,write"`
	Lifetime Duration         `json:"lifetime,omitempty" doc:"absent: 720h, or 1h of a one-time token"`
	OneTime  bool             `json:"one_time,omitempty" doc:"good for one login and nothing else"`
}

// Me is who makes the call.
type Me struct {
	User    string           `json:"user" doc:"empty on the Unix socket"`
	Groups  []string         `json:"groups"`
	Admin   bool             `json:"admin" doc:"an administrator, with a token that has the scope"`
	Scopes  []identity.Scope `json:"scopes" enum:"admin,connect,read,write"`
	Proof   string           `json:"proof" enum:"token,certificate,peer" doc:"how this is known; peer: by the connection to the Unix socket"`
	Token   string           `json:"token,omitempty" doc:"the id of the token"`
	Expires time.Time        `json:"expires,omitzero" doc:"of the token or certificate"`
}

// A User is a person or a program that may prove who it is.
type User struct {
	Name        string          `json:"name"`
	ID          string          `json:"id" doc:"another user of the same name, later, has another one"`
	Groups      []string        `json:"groups"`
	Admin       bool            `json:"admin"`
	Disabled    bool            `json:"disabled" doc:"nothing proves this user's identity until it is enabled again"`
	HasPassword bool            `json:"has_password"`
	Source      identity.Source `json:"source" enum:"store,file" doc:"file: the configuration file, where alone it can be changed"`
	Created     time.Time       `json:"created,omitzero"`
	Updated     time.Time       `json:"updated,omitzero"`
	Revision    uint64          `json:"revision" doc:"grows with every change; 0 of one from the file"`
}

// A UserList is a part of the users, by name.
type UserList struct {
	Users []User `json:"users"`
	Next  string `json:"next,omitempty" doc:"the cursor of the list's next part; absent at its end"`
}

// A NewUser is what a user is made of.
type NewUser struct {
	Name     string   `json:"name" maxLength:"64" example:"ada"`
	Password string   `json:"password,omitempty" doc:"absent: the user has none and logs in by a one-time token"`
	Groups   []string `json:"groups,omitempty" maxItems:"100"`
	Admin    bool     `json:"admin,omitempty"`
	Disabled bool     `json:"disabled,omitempty"`
}

// A UserChange is what of a user shall change; what is absent stays.
type UserChange struct {
	Groups   *[]string `json:"groups,omitempty" doc:"all the user's groups" maxItems:"100"`
	Admin    *bool     `json:"admin,omitempty"`
	Disabled *bool     `json:"disabled,omitempty" doc:"true ends what the user does, and voids no token: they are good again when the user is enabled"`
}

// A PasswordChange sets a password.
type PasswordChange struct {
	Password string `json:"password" doc:"the new one"`
	Current  string `json:"current,omitempty" doc:"the present one; administrators need not know it"`
}

// A Group is the users that are in it.
type Group struct {
	Name    string          `json:"name"`
	Members []string        `json:"members"`
	Source  identity.Source `json:"source" enum:"store,file" doc:"file: only the configuration file says who is in it"`
}

// A GroupList is a part of the groups, by name.
type GroupList struct {
	Groups []Group `json:"groups"`
	Next   string  `json:"next,omitempty" doc:"the cursor of the list's next part; absent at its end"`
}

// An Authority is what clients need to trust the server's certificates.
type Authority struct {
	Bundle      string    `json:"bundle" lines:"true" doc:"the certificates of all authorities that are trusted now, in PEM, the newest first"`
	Fingerprint string    `json:"fingerprint" doc:"the SHA-256 of the newest, in hexadecimal digits"`
	OldUntil    time.Time `json:"old_until,omitzero" doc:"when the authority before this one is no longer accepted; absent without one"`
}

// A Certificate is one that the server's authority has issued to a client.
type Certificate struct {
	Serial  string    `json:"serial" doc:"32 hexadecimal digits"`
	Kind    string    `json:"kind" enum:"user,device,agent,node"`
	Name    string    `json:"name" doc:"of the user, device or agent"`
	Issued  time.Time `json:"issued"`
	Expires time.Time `json:"expires"`
	Revoked bool      `json:"revoked"`
}

// A CertificateList is a part of the certificates, by serial number.
type CertificateList struct {
	Certificates []Certificate `json:"certificates"`
	Next         string        `json:"next,omitempty" doc:"the cursor of the list's next part; absent at its end"`
}

// A CertificateRequest asks for a certificate.
type CertificateRequest struct {
	Request  string   `json:"request" doc:"PKCS #10 in PEM (RFC 2986); only its key counts" maxLength:"16384"`
	Kind     string   `json:"kind" enum:"user,device"`
	Name     string   `json:"name" doc:"of the user or device" maxLength:"64"`
	Lifetime Duration `json:"lifetime,omitempty" doc:"absent: 8760h"`
}

// An IssuedCertificate is a certificate with its text.
type IssuedCertificate struct {
	Certificate
	PEM string `json:"certificate" lines:"true"`
}
