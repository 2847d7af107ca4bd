# Every line that ends in "mistake" is reported, all at once.

data_dirr = "/var/lib/jackfield" # mistake

listener "mux" {
  protocol     = "tcpmux"
  listen       = "127.0.0.1" # mistake
  name_timeout = "10"        # mistake
}

listener "meter" {
  protocol = "tcp"
  listen   = "127.0.0.1:2323"
  service  = "telnett" # mistake
}

rule "alow" { # mistake
  from = ["10.0.0.0/33"] # mistake
}

service "telnet" {
  listeners    = ["mx"] # mistake
  address      = "127.0.0.1:23"
  max_sessions = "many" # mistake

  rule "allow" {
    when = hour >= 7 && weekdy != "sunday" # mistake
  }
}

station "fpga-1" {
  listeners = ["mux"]
  lease     = "exclusive" # mistake

  service "console" { # mistake
    description = "no route"
  }
}
