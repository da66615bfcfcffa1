package devview

import (
	"math"
	"testing"
	"time"
)

func TestBar(t *testing.T) {
	fine, coarse := Style{Unicode: true}, Style{}
	cases := []struct {
		fraction float64
		fine     string
		coarse   string
	}{
		{0, "    ", "----"},
		{1, "████", "####"},
		{0.5, "██  ", "##--"},
		{1.0 / 32, "▏   ", "----"},
		{0.97, "███▉", "####"},
		{-3, "    ", "----"},
		{7, "████", "####"},
		{math.NaN(), "    ", "----"},
		{math.Inf(1), "████", "####"},
	}
	for _, c := range cases {
		if got := Bar(c.fraction, 4, fine); got != c.fine {
			t.Errorf("%v: %q, want %q", c.fraction, got, c.fine)
		}
		if got := Bar(c.fraction, 4, coarse); got != c.coarse {
			t.Errorf("%v in ASCII: %q, want %q", c.fraction, got, c.coarse)
		}
	}
}

func TestShort(t *testing.T) {
	cases := map[time.Duration]string{
		0:                                "0s",
		850 * time.Millisecond:           "850ms",
		7*time.Second + 900e6:            "7s",
		59 * time.Second:                 "59s",
		4*time.Minute + 5*time.Second:    "4m05s",
		3*time.Hour + 20*time.Minute:     "3h20m",
		47*time.Hour + 59*time.Minute:    "47h59m",
		12 * 24 * time.Hour:              "12d",
		-90 * time.Second:                "-1m30s",
		time.Duration(math.MaxInt64):     "106751d",
		time.Duration(math.MinInt64 + 1): "-106751d",
	}
	for d, want := range cases {
		if got := Short(d); got != want {
			t.Errorf("%s: %q, want %q", d, got, want)
		}
	}
}

func TestLeft(t *testing.T) {
	for name, c := range map[string]struct {
		issued, expires time.Duration // from now
		want            float64
	}{
		"half":               {-10 * time.Second, 10 * time.Second, 0.5},
		"expired":            {-30 * time.Second, -time.Second, 0},
		"issued ahead of us": {time.Second, time.Minute, 1},
		"born expired":       {0, 0, 0},
		"expires before":     {0, -time.Hour, 0},
	} {
		if got := Left(now, now.Add(c.issued), now.Add(c.expires)); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	if got := Left(now, time.Time{}, time.Time{}); got != 0 {
		t.Errorf("no token: %v", got)
	}
}

func TestStyleOfEnvironment(t *testing.T) {
	cases := []struct {
		name string
		env  map[string]string
		want Style
	}{
		{"a common terminal", map[string]string{"LANG": "en_GB.UTF-8", "TERM": "xterm"}, Style{Color: true, Unicode: true}},
		{"NO_COLOR", map[string]string{"LANG": "en_GB.utf8", "TERM": "xterm", "NO_COLOR": "1"}, Style{Unicode: true}},
		{"an empty NO_COLOR is none", map[string]string{"LANG": "C.UTF-8", "TERM": "xterm", "NO_COLOR": ""}, Style{Color: true, Unicode: true}},
		{"TERM=dumb", map[string]string{"LANG": "C.UTF-8", "TERM": "dumb"}, Style{Unicode: true, Dumb: true}},
		{"LANG=C", map[string]string{"LANG": "C", "TERM": "xterm"}, Style{Color: true}},
		{"LC_ALL decides", map[string]string{"LANG": "en_GB.UTF-8", "LC_ALL": "C", "LC_CTYPE": "en_GB.UTF-8", "TERM": "xterm"}, Style{Color: true}},
		{"LC_CTYPE before LANG", map[string]string{"LANG": "C", "LC_CTYPE": "en_GB.UTF-8", "TERM": "xterm"}, Style{Color: true, Unicode: true}},
		{"nothing set", nil, Style{Dumb: true}},
	}
	for _, c := range cases {
		if got := StyleOf(func(name string) string { return c.env[name] }); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}
