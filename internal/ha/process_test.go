package ha

func replicaMain() int { return 0 }
