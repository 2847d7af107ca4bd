listener "mux" {
  protocol = "tcpmux"
  listen   = "127.0.0.1:0"
}

service "string" {
  listeners = ["mux"]
  command   = "/bin/cat"
}

service "empty" {
  listeners = ["mux"]
  command   = []
}

service "words" {
  listeners  = ["mux"]
  command    = ["bin/cat", "", "a\u0000b", 5]
  arg0       = ""
  mode       = "minus"
  stderr     = "file"
  sockenv    = "perhaps"
  kill_grace = "6m"
}

service "resolve" {
  listeners = ["mux"]
  command   = ["/bin/cat"]
  resolve   = true
}

service "both" {
  listeners = ["mux"]
  command   = ["/bin/cat"]
  builtin   = "echo"
}

service "names" {
  listeners = ["mux"]
  command   = concat
  arg0      = "a\u0000"
}

service "dialled" {
  listeners = ["mux"]
  address   = "127.0.0.1:1"
  arg0      = "x"
  mode      = "plus"
  stderr    = "log"
  sockenv   = false
  user      = "nobody"
  umask     = "022"
  env       = { A = "b" }
  limits { nofile = 256 }
}

service "builtin" {
  listeners = ["mux"]
  builtin   = "echo"
  nice      = 1
}
