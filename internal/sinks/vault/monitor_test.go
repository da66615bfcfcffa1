package vault

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokend-project/tokend/internal/vault"
)

// asked is a sink that counts how often it is looked at.
type asked struct {
	times   atomic.Int64
	answers func() (bool, error)
}

func (a *asked) drifted(context.Context) (bool, error) {
	a.times.Add(1)
	if a.answers == nil {
		return false, nil
	}
	return a.answers()
}

// running runs a monitor in a bubble; stop ends it and waits.
func running(m *Monitor) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { m.Run(ctx) })
	return func() {
		cancel()
		wg.Wait()
	}
}

func TestManySinksShareOneRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMonitor(20)
		defer running(m)()
		fleet := make([]*asked, 2400) // twice what the rate allows a minute
		for i := range fleet {
			fleet[i] = &asked{}
			m.watch(fleet[i], time.Minute, func() { t.Error("drift without cause") })
		}
		time.Sleep(4*time.Minute + time.Second)
		var total int64
		least := fleet[0].times.Load()
		for _, a := range fleet {
			total += a.times.Load()
			least = min(least, a.times.Load())
		}
		if total > 20*241+1 || total < 20*200 {
			t.Errorf("%d looks in 4 minutes, want 20 a second", total)
		}
		if least == 0 {
			t.Error("a sink was never looked at")
		}
	})
}

func TestASinkIsLookedAtOncePerInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMonitor(0)
		defer running(m)()
		a := &asked{}
		stop := m.watch(a, time.Minute, func() {})
		time.Sleep(time.Hour)
		if n := a.times.Load(); n < 58 || n > 70 {
			t.Errorf("%d looks in an hour, want one a minute", n)
		}
		stop()
		stop()
		before := a.times.Load()
		time.Sleep(time.Hour)
		if n := a.times.Load(); n != before {
			t.Errorf("%d looks after the watch was stopped", n-before)
		}
	})
}

func TestDriftIsToldAgainUntilItIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMonitor(0)
		defer running(m)()
		var told atomic.Int64
		m.watch(&asked{answers: func() (bool, error) { return true, nil }}, time.Minute, func() { told.Add(1) })
		time.Sleep(10 * time.Minute)
		if n := told.Load(); n < 9 || n > 13 {
			t.Errorf("drift was told %d times in 10 minutes, want one a minute", n)
		}
	})
}

func TestASealedServerIsLeftAloneAndFoundAgainSoon(t *testing.T) {
	for _, kind := range []error{vault.ErrSealed, vault.ErrUnreachable, vault.ErrThrottled, vault.ErrLogin} {
		synctest.Test(t, func(t *testing.T) {
			m := NewMonitor(100)
			defer running(m)()
			var sealed atomic.Bool
			sealed.Store(true)
			var looks atomic.Int64
			for range 600 {
				m.watch(&asked{answers: func() (bool, error) {
					looks.Add(1)
					if sealed.Load() {
						return false, fmt.Errorf("read: %w", kind)
					}
					return false, nil
				}}, time.Second, func() {})
			}
			time.Sleep(10 * time.Minute)
			if n := looks.Load(); n > 60 {
				t.Errorf("%v: %d looks in 10 minutes, want some four a minute", kind, n)
			}
			sealed.Store(false)
			before := looks.Load()
			time.Sleep(pauseLast + 2*time.Second)
			if n := looks.Load() - before; n < 100 {
				t.Errorf("%v: %d looks in the two seconds after it was gone", kind, n)
			}
		})
	}
}

func TestOneEntrysErrorHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMonitor(100)
		defer running(m)()
		m.watch(&asked{answers: func() (bool, error) { return false, errors.Join(vault.ErrDenied) }}, time.Second, func() {})
		other := &asked{}
		m.watch(other, time.Second, func() {})
		time.Sleep(time.Minute)
		if n := other.times.Load(); n < 55 {
			t.Errorf("%d looks in a minute, want one a second", n)
		}
	})
}

func TestAWatchThatEndsWhileItIsLookedAtIsNotTakenUpAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMonitor(0)
		var stop func()
		a := &asked{}
		a.answers = func() (bool, error) { stop(); return false, nil }
		stop = m.watch(a, time.Minute, func() {})
		defer running(m)()
		time.Sleep(time.Hour)
		if n := a.times.Load(); n != 1 {
			t.Errorf("%d looks, want 1", n)
		}
	})
}
