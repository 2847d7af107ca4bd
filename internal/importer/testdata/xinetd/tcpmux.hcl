# Written by jackfield import xinetd.
# Source: tcpmux.conf
# Read the comments, above all "not translated", then run: jackfield check FILE
# not translated: /etc/hosts.allow and /etc/hosts.deny, which xinetd may ask for services without the flag NOLIBWRAP

# tcpmux.conf:2
listener "tcpmux" {
  protocol = "tcpmux"
  listen   = "127.0.0.1:21078"
}

# tcpmux.conf:14
service "plussvc" {
  listeners = ["tcpmux"]
  command   = ["/usr/lib/plus"]
  mode      = "plus"
  user      = "root"
  stderr    = "socket"
}

# tcpmux.conf:24
service "dedsvc" {
  listeners = ["tcpmux"]
  command   = ["/usr/lib/dedicated"]
  mode      = "dedicated"
  user      = "root"
  stderr    = "socket"
}
