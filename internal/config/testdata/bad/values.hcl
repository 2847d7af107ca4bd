max_sessions            = 0
max_sessions_per_source = 1.5
max_rate                = "50"
max_rate_per_source     = "0/s"
max_sessions_message    = "grüß Gott"

log {
  level  = "inf"
  format = json
}

log {}

audit {
  path     = ""
  max_size = "64 MiB"
  keep     = 0
}

rule "deny" { from = [] }
rule "deny" { from = ["10.0.0.0/8", "fe80::1%eth0", "lab"] }
rule "deny" { services = ["a.b.c", "con?ole", ""] }
rule "deny" { users = [""] }
rule {}
