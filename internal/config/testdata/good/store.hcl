data_dir = "/srv/jackfield"

audit {
  retention      = "0s"
  retention_size = 0
}

store {
  url              = "tls://a,b.example.org:4223,tls://[2001:db8::1],10.0.0.1"
  replicas         = 5
  credentials_file = "nats.creds"
}
