// Package inedo speaks the Inedo Agent network protocol, versions 1 and 2, in both roles: commands with their data, both
// ways over one connection, in clear, under TLS or under AES.
//
// The client (BuildMaster and the like; "client" in the document) dials the agent ("server"), sends 24 bytes and gets a
// reply that states the encryption, the protocol's version and that of the agent's program. From then on both may send
// messages at any time. The source is the Inedo document "Network Protocol (v2)", and the pages "Network Protocol (v1)"
// and "Message Formats" beside it.
//
// An agent:
//
//	conn, err := inedo.Accept(ctx, tcp, inedo.AgentConfig{
//		Options: inedo.Options{Mode: inedo.ModeSSL, TLS: config},
//	})
//	...
//	message, err := conn.Receive()
//	err = conn.Send(message.Command, answer)
//
// A client:
//
//	conn, err := inedo.Handshake(ctx, tcp, inedo.ClientConfig{
//		Options: inedo.Options{Mode: inedo.ModeSSL, TLS: config},
//	})
//	...
//	err = conn.Send(inedo.CommandGetAgentRootPath, data)
//	message, err := conn.Receive()
//
// Data are written and read with [Encoder] and [Decoder], or as structs with [Marshal] and [Unmarshal].
//
// # What a mode protects
//
//   - ModeNone: nothing.
//   - ModeSSL: the client knows which agent it speaks to, and nobody on the path can read or change a message. The agent
//     knows its client only if its TLS configuration asks for a certificate; Inedo's own agents do not. The handshake
//     before TLS is in clear and can be changed, which makes the connection fail but not weaker. Use this mode.
//   - ModeAES: nobody without the key can read a message. That is all. Nothing tells a message that was changed, left out,
//     moved or recorded earlier, on any connection with the same key, from a true one: bits of a block can be flipped at
//     the cost of the block before it. Whoever has recorded one message can send it to the agent, which proves no
//     knowledge of the key. There is no forward secrecy. Commands that matter need an authentication of their own inside
//     the data.
//
// In ModeAES an agent that closes the connection after a message that it cannot decrypt, and keeps it open after one whose
// command it does not know, tells anybody who has recorded a message whether a changed one had a valid padding, and with
// enough tries what it says. ErrDecrypt is one error for all causes, found in the same time, and Receive can go on after
// it: treat it exactly as an unknown command, by ignoring both or by closing after both. That takes the oracle away as far
// as the protocol allows.
//
// # Rules
//
//   - The client insists on the mode of its configuration: another one in the reply ends the handshake with a [ModeError].
//   - An agent writes nothing to a peer with a wrong protocol ID, or with no version in common.
//   - Nothing is read beyond the handshake, or beyond a message: what follows is still in the connection for TLS, or for
//     whoever uses [Conn.Raw].
//   - A message is one Write. Messages are sent in the order of the calls of Send that got their turn.
//   - All lengths have maxima, which are checked before memory is set aside. That grows with what comes: a peer that
//     announces 64 MiB and sends nothing costs 64 KiB.
//
// # Where the document is silent or contradicts itself
//
//   - A Guid has .NET's byte order. An agent can be told to take the straight one, too (StraightID).
//   - The agent's version is four int32 (its components; the oldest text has this type) or one (later texts). The agent
//     sends four, the client takes both: it waits a moment for the rest, which is safe because the agent then waits for
//     the client. Both can be told (Width).
//   - Requests of both versions have the same form. One whose last number is at least 2000 is V2. A V2 client whose
//     highest version is below 2000 speaks V1. Between 1000 and 2000 there is no version.
//   - An agent that knows V1 only may return the 2000 of a V2 request as a session ID. The client takes V2 only if the
//     agent's program is at least version 43, the first with V2 (AnyVersion).
//   - The document has the data of a message from the agent at offset 5, behind an int32 at offset 4. They are at 8.
//   - AES is in CBC mode with the padding of PKCS#7, the key is used as it is. Each direction has its own chain of
//     initialization vectors; both begin with the one in the reply. A peer with another rule can still be read: a wrong
//     vector spoils the first block only, and that holds the next vector and nothing else.
//   - The answer to Get Agent Root Path has the command of the question. Update Agent for the agent itself has an empty
//     array of extensions, which may be missing.
//
// Nothing was checked against an Inedo agent or product.
//
// # What it does not do
//
// It does not listen, dial, redial, ping, log or run anything. The commands of Inedo's products are not public. How an
// agent of theirs that dials out proves itself is not public either.
package inedo
