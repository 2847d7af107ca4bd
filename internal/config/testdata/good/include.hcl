include = ["conf.d/*.hcl", "none.d/*.hcl", "*.hcl.off", "conf.d/10-listener.hcl"]

rule "deny" { from = ["10.0.0.0/8"] }
