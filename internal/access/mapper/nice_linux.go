package mapper

// niceness is what getpriority(2) means: Linux returns 20 less the value, so that no value looks like an error.
func niceness(returned int) int { return 20 - returned }
