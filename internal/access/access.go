// Package access holds the rules and limits that decide whether a request may go on.
//
// An ACL is an ordered list of rules:
//
//	acl := access.NewACL("listener.mux", rules)
//	decision := acl.Decide(ctx, request) // By is "acl.listener.mux[0]"
//
// Its rules are these:
//   - The first rule that matches decides. Rules of which none matches deny. No rules allow.
//   - A rule matches when every attribute that it names matches; one that names none matches every request.
//   - Asked early, before identity, name and time are known, a rule that needs them leaves the question open: it never
//     counts as "no match".
//   - What cannot be found out is denied: a condition that fails denies, in an allow rule too.
//
// A Limit counts the sessions inside and the rate at which they open, in all and for each source.
//
// Rules arrive here compiled: the package knows nothing of configuration files, of protocols, or of how an identity was
// proven. The order in which the levels are asked is the gateway's.
package access
