package observe

import (
	"bufio"
	"math"
	"strconv"
	"strings"
	"time"
)

// exposition writes Prometheus' text format, version 0.0.4. Its first error is
// kept by the writer below.
type exposition struct {
	w    *bufio.Writer
	name string
	buf  []byte
}

// family begins a metric, whose samples follow one another.
func (x *exposition) family(name, typ, help string) {
	x.name = name
	for _, s := range []string{"# HELP ", name, " ", help, "\n# TYPE ", name, " ", typ, "\n"} {
		_, _ = x.w.WriteString(s)
	}
}

// sample writes one series. labels are as [pairs.add] makes them, without
// braces, and may be empty.
func (x *exposition) sample(labels string, value float64) {
	b := append(x.buf[:0], x.name...)
	if labels != "" {
		b = append(append(append(b, '{'), labels...), '}')
	}
	b = append(b, ' ')
	if value == math.Trunc(value) && math.Abs(value) < 1<<53 {
		b = strconv.AppendInt(b, int64(value), 10)
	} else {
		b = strconv.AppendFloat(b, value, 'g', -1, 64)
	}
	b = append(b, '\n')
	_, _ = x.w.Write(b)
	x.buf = b
}

// pairs is a list of labels with their values, as in a sample.
type pairs []byte

func (p pairs) add(name, value string) pairs {
	if len(p) > 0 {
		p = append(p, ',')
	}
	p = append(append(p, name...), '=', '"')
	if strings.ContainsAny(value, "\\\"\n") {
		value = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(value)
	}
	return append(append(p, strings.ToValidUTF8(value, "\uFFFD")...), '"')
}

// seconds is an instant as a value, to the millisecond; 0 stands for none.
func seconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}

func flag(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
