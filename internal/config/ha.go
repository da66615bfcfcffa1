package config

import (
	"fmt"
	"regexp"
	"time"
)

const (
	// maxShards is more than any number of replicas that is of use, and few enough
	// that one replica can renew all of their Leases by itself.
	maxShards = 128
	// leaseSuffix is the longest thing that follows the name: of a replica's own.
	leaseSuffix = 40
)

var identityName = regexp.MustCompile(`^[!-~]{1,253}$`)

func (d *decoder) ha(s section, state State) *HA {
	if s.block == nil {
		return nil
	}
	if s.label != "kubernetes" {
		d.fault(s.labelRange, "Unknown kind of ha", fmt.Sprintf("Replicas share the work through Leases of Kubernetes: ha \"kubernetes\" { … }.%s", didYouMean(s.label, []string{"kubernetes"})))
		return nil
	}
	d.blocks(s.body, &haSchema)
	ha := &HA{Name: "tokend", Shards: 1, LeaseDuration: 15 * time.Second, RenewEvery: 5 * time.Second}
	if k := s.clusterOf(); k != nil {
		ha.Kubernetes = *k
	}
	s.str("namespace", &ha.Namespace)
	s.str("name", &ha.Name)
	s.integer("shards", &ha.Shards)
	s.duration("lease_duration", &ha.LeaseDuration)
	s.duration("renew_every", &ha.RenewEvery)
	s.str("identity", &ha.Identity)
	d.validateHA(s, ha, state)
	return ha
}

func (d *decoder) validateHA(s section, ha *HA, state State) {
	if state.Kind == "file" {
		d.fault(s.defRange, "Replicas without a state in common", "What one replica has refreshed, the next one to take over must know. Keep the state in Kubernetes or Vault: state \"kubernetes_secret\" { … } or state \"vault_kv\" { … }.")
	}
	d.validateNamespace(s, ha.Namespace)
	if !isSubdomain(ha.Name) || len(ha.Name)+leaseSuffix > maxSubdomain {
		s.fault("name", "Unsuitable name", subdomainRule("The name of a Lease"))
	}
	if ha.Shards < 1 || ha.Shards > maxShards {
		s.fault("shards", "Unsuitable number of shards", fmt.Sprintf("There are 1 to %d shards: 1 for one active replica at a time, some more than replicas to spread the tokens.", maxShards))
	}
	if ha.LeaseDuration < time.Second || ha.LeaseDuration%time.Second != 0 {
		s.fault("lease_duration", "Unsuitable lease_duration", "A Lease is held for whole seconds, such as \"15s\".")
	}
	if ha.RenewEvery <= 0 {
		s.fault("renew_every", "Unsuitable renew_every", "The renew_every must be longer than nothing.")
	} else if 2*ha.RenewEvery >= ha.LeaseDuration {
		s.fault("renew_every", "Lease without reserve", fmt.Sprintf("With a lease_duration of %s and a renew_every of %s, one renewal that fails could lose the Lease. The renew_every must be less than half of the lease_duration; a third is usual.", ha.LeaseDuration, ha.RenewEvery))
	}
	if ha.Identity != "" && !identityName.MatchString(ha.Identity) {
		s.fault("identity", "Unsuitable identity", "The identity is one word, by which people tell the replicas apart.")
	}
}
