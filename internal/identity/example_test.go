package identity_test

import (
	"context"
	"fmt"
	"net/netip"

	"jackfield/internal/identity"
	"jackfield/internal/store/memory"
)

func Example() {
	ctx := context.Background()
	s := memory.New()
	defer s.Close()
	d, err := identity.Open(ctx, s, identity.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer d.Close()

	if _, err := d.AddUser(ctx, identity.NewUser{Name: "ada", Groups: []string{"lab"}}, "correct horse"); err != nil {
		fmt.Println(err)
	}
	source := netip.MustParseAddr("192.0.2.7")
	secret, token, err := d.Login(ctx, "ada", "correct horse", source, identity.NewToken{Label: "laptop"})
	if err != nil {
		fmt.Println(err)
	}
	caller, err := d.Authenticate(secret)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(caller.Identity.User, caller.Identity.Groups, caller.Has(identity.Connect), caller.Admin)

	call, cancel := caller.Context(ctx)
	defer cancel()
	if err := d.RemoveToken(ctx, token.ID); err != nil {
		fmt.Println(err)
	}
	<-call.Done()
	fmt.Println(context.Cause(call))
	// Output:
	// ada [lab] true false
	// token revoked
}
