rule "deny" { when = true || usr == "x" }
rule "deny" { when = user }
rule "deny" { when = null }
rule "deny" { when = hour + "x" > 3 }
rule "deny" { when = contains(groups) }
rule "deny" { when = containz(groups, "lab") }
rule "deny" { when = contains(hour, "lab") }
rule "deny" { when = cidr_contains("10.0.0.0/33", address) }
rule "deny" { when = env("HOME") == user }
rule "deny" { when = user.name == "x" }
