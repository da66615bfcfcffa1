package main

import "testing"

func TestProcessorsFollowTheLoad(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		loads []float64
		one   bool
	}{
		"a start has all":                  {[]float64{0, 0, 0, 0}, false},
		"a calm daemon has one":            {[]float64{1.8, .1, .1, .1, .1, .1}, true},
		"calm is to last":                  {[]float64{.1, .1, .1, .1, .5, .1, .1, .1, .1}, false},
		"some load leaves all as they are": {[]float64{.5, .6, .5, .6, .5, .6, .5}, false},
		"some load leaves one as it is":    {[]float64{.1, .1, .1, .1, .1, .6, .5, .6}, true},
		"a burst has all":                  {[]float64{.1, .1, .1, .1, .1, .9}, false},
		"a burst has all until calm lasts": {[]float64{.1, .1, .1, .1, .1, .9, .1, .1, .1, .1}, false},
		"one again after a burst and calm": {[]float64{.1, .1, .1, .1, .1, .9, .1, .1, .1, .1, .1}, true},
	} {
		var p processors
		for i, load := range c.loads {
			if was := p.one; p.decide(load) != (p.one != was) {
				t.Errorf("%s: look %d does not tell whether there was a change", name, i)
			}
		}
		if p.one != c.one {
			t.Errorf("%s: one = %t", name, p.one)
		}
	}
}

func TestUsedGrows(t *testing.T) {
	t.Parallel()
	before := used()
	for i := 0; used() == before; i++ {
		if i > 1e9 {
			t.Fatal("the time that this process has used stands still")
		}
	}
}
