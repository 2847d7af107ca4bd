listen {
  encryption           = "tls"
  key_file             = ""
  aes_key_file         = "aes.key"
  certificate_key_file = "agent.key"
}
