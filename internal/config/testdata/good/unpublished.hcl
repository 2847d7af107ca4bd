agent "plant-3" {
  address  = "10.0.0.1"
  key_file = "plant-3.key"
  offers   = ["*"]
}
