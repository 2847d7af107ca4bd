store {
  replicas = 3
  key_file = "a.key"
}
