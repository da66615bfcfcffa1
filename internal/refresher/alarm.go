package refresher

import (
	"container/heap"
	"time"
)

// alarm is one instant at which one thing is due. It is embedded in what it
// wakes, so that an idle token costs no allocation, goroutine or timer.
type alarm struct {
	at    time.Time
	index int // in the heap, from 1; 0 when not set
	wakes waker
}

// waker is woken, with the Refresher's lock held, when its alarm is due.
type waker interface {
	wake(r *Refresher, now time.Time)
}

// alarms is a heap by instant.
type alarms []timed

// timed holds an alarm's instant beside it, in microseconds since 1970: the
// heap of a fleet is compared far more often than its alarms are looked at.
type timed struct {
	at    int64
	alarm *alarm
}

func timedBy(a *alarm) timed { return timed{a.at.UnixMicro(), a} }

func (h alarms) Len() int           { return len(h) }
func (h alarms) Less(i, j int) bool { return h[i].at < h[j].at }
func (h alarms) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].alarm.index, h[j].alarm.index = i+1, j+1
}

// Push implements heap.Interface.
func (h *alarms) Push(x any) {
	a := x.(*alarm)
	*h = append(*h, timedBy(a))
	a.index = len(*h)
}

// Pop implements heap.Interface.
func (h *alarms) Pop() any {
	old := *h
	a := old[len(old)-1].alarm
	old[len(old)-1] = timed{}
	*h = old[:len(old)-1]
	a.index = 0
	return a
}

// set moves a to the instant at; a zero instant clears it.
func (h *alarms) set(a *alarm, at time.Time) {
	if at.IsZero() {
		h.clear(a)
		return
	}
	a.at = at
	if a.index != 0 {
		(*h)[a.index-1] = timedBy(a)
		heap.Fix(h, a.index-1)
		return
	}
	heap.Push(h, a)
}

func (h *alarms) clear(a *alarm) {
	if a.index != 0 {
		heap.Remove(h, a.index-1)
	}
	a.at = time.Time{}
}

// due pops the first alarm if its instant has come.
func (h *alarms) due(now time.Time) *alarm {
	if len(*h) == 0 || (*h)[0].alarm.at.After(now) {
		return nil
	}
	return heap.Pop(h).(*alarm)
}

func (h alarms) first() time.Time {
	if len(h) == 0 {
		return time.Time{}
	}
	return h[0].alarm.at
}

// shift moves every alarm by d, for a clock that was stepped back.
func (h alarms) shift(d time.Duration) {
	for i, s := range h {
		s.alarm.at = s.alarm.at.Add(d)
		h[i] = timedBy(s.alarm)
	}
}
