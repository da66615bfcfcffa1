package ha

// ShardOf returns the shard, from 0 to shards-1, of a token.
//
// It is rendezvous hashing (highest random weight): each shard has a weight for
// each name, and the heaviest wins, so that of a change from n to n+1 shards
// only the names move that the new one wins. The weight is
//
//	mix(fnv1a(name) ^ mix(shard + 1))
//
// with the 64-bit FNV-1a of the name's bytes and the finalizer of SplitMix64. It
// must never change: replicas of different versions would both keep a token.
func ShardOf(name string, shards int) int {
	h := uint64(14695981039346656037)
	for i := range len(name) {
		h = (h ^ uint64(name[i])) * 1099511628211
	}
	best, heaviest := 0, uint64(0)
	for s := range shards {
		if w := mix(h ^ mix(uint64(s)+1)); w > heaviest {
			best, heaviest = s, w
		}
	}
	return best
}

func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
