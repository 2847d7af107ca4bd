package enrolment

import (
	"context"
	"errors"
	"time"

	"jackfield"
)

// Why a token is not good, for the log.
var (
	errNoSuchToken = errors.New("no agent waits with this token: it was used, or replaced by another one, or its agent was removed")
	errExpired     = errors.New("the token has expired")
)

func refuseToken(why error) error {
	return jackfield.Refuse(jackfield.Unauthenticated, "the token is not good, or not any more: ask for another one, made by"+
		` "jackfield agent enroll"`, why)
}

// Find returns the agent that the text of a token is for, from memory. A refusal Unauthenticated: it is none, or not good.
func (r *Roll) Find(token string) (Agent, error) {
	if _, err := ParseToken(token); err != nil {
		return Agent{}, jackfield.Refuse(jackfield.Unauthenticated, err.Error(), nil)
	}
	hash := hashToken(token)
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.entries {
		if e.gone || r.superseded(e) || e.TokenHash != hash {
			continue
		}
		if err := e.checkToken(hash); err != nil {
			return Agent{}, err
		}
		return e.agent(), nil
	}
	return Agent{}, refuseToken(errNoSuchToken)
}

func (r *record) checkToken(hash string) error {
	switch {
	case r.TokenHash == "" || r.TokenHash != hash:
		return refuseToken(errNoSuchToken)
	case !time.Now().Before(r.TokenExpires):
		return refuseToken(errExpired)
	}
	return nil
}

// Join uses a token up: from now on the agent is the holder of the certificate with that serial number, and of no other. Those that
// it had are void. The certificate has been signed before, so that what fails on the way takes no token away; of several that use
// the same token one succeeds, and the others are refused as Unauthenticated: what was signed for them is void.
func (r *Roll) Join(ctx context.Context, token, serial string) (a Agent, void []string, err error) {
	found, err := r.Find(token)
	if err != nil {
		return Agent{}, nil, err
	}
	hash := hashToken(token)
	a, err = r.edit(ctx, found.Name, func(r *record) error {
		if err := r.checkToken(hash); err != nil {
			return err
		}
		void = r.serials()
		r.TokenHash, r.TokenExpires = "", time.Time{}
		r.Serial, r.Renewed, r.Enrolled, r.Draining = serial, "", time.Now().UTC(), false
		return nil
	})
	if err != nil {
		if jackfield.AsError(err).Kind == jackfield.NotFound {
			err = refuseToken(err)
		}
		return Agent{}, nil, err
	}
	return a, void, nil
}

// Renew notes a certificate that was signed for the holder of another one. Both are good until the agent comes with the new one; an
// earlier one with which it never came is void.
func (r *Roll) Renew(ctx context.Context, serial, renewed string) (a Agent, void []string, err error) {
	return r.editHolder(ctx, serial, func(r *record) []string {
		keep := r.Serial
		if serial == r.Renewed { // it has come with it, and that was not noted
			keep = r.Renewed
		}
		var void []string
		for _, s := range r.serials() {
			if s != keep {
				void = append(void, s)
			}
		}
		r.Serial, r.Renewed = keep, renewed
		return void
	})
}

// Arrive notes that an agent has come with a certificate: the one before it is void, and it is not draining any more. Mostly there
// is nothing to be written. After an error, but NotFound, the agent may stay: the next Arrive makes up for it.
func (r *Roll) Arrive(ctx context.Context, serial string) (void []string, err error) {
	holder, there := r.Holder(serial)
	if there && holder.Serial == serial && !holder.Draining {
		return nil, nil
	}
	_, void, err = r.editHolder(ctx, serial, func(r *record) []string {
		r.Draining = false
		if serial != r.Renewed {
			return nil
		}
		void := []string{r.Serial}
		r.Serial, r.Renewed = r.Renewed, ""
		return void
	})
	return void, err
}

// editHolder changes the agent that a certificate is of; void are certificates that the change takes away.
func (r *Roll) editHolder(ctx context.Context, serial string, change func(*record) (void []string)) (a Agent, void []string, err error) {
	holder, there := r.Holder(serial)
	if !there {
		return Agent{}, nil, noSuchAgent()
	}
	a, err = r.edit(ctx, holder.Name, func(r *record) error {
		if serial != r.Serial && serial != r.Renewed {
			return noSuchAgent() // meanwhile it was enrolled anew, and has joined
		}
		void = change(r)
		return nil
	})
	if err != nil {
		return Agent{}, nil, err
	}
	return a, void, nil
}
