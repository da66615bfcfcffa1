package config

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/robfig/cron/v3"
)

// validateSchedule judges a schedule; place tells where a key stands, and
// whether it is to be judged here.
func (d *decoder) validateSchedule(s Schedule, place func(key string) (hcl.Range, bool)) {
	if at, mine := place("refresh_at"); mine && !(s.RefreshAt > 0 && s.RefreshAt < 1) {
		d.fault(at, "Unsuitable refresh_at", "The refresh_at is a fraction of the lifetime: more than 0 and less than 1, such as 0.75.")
	}
	if at, mine := place("jitter"); mine && !(s.Jitter >= 0 && s.Jitter <= 0.5) {
		d.fault(at, "Unsuitable jitter", "The jitter is a fraction from 0 to 0.5, such as 0.1.")
	}
	if at, mine := place("min_interval"); mine && s.MinInterval <= 0 {
		d.fault(at, "Unsuitable min_interval", "The min_interval is what keeps requests apart whatever the server answers. It must be longer than nothing.")
	}
	if at, mine := place("lead"); mine && s.Lead > longestLead {
		d.warn(at, "Very long lead", fmt.Sprintf("A lead of %s is cut to half of the lifetime for every token that lives less than twice as long.", s.Lead))
	}
	if at, mine := place("cron"); mine {
		d.validateCrons(s.Cron, at)
	}
	if at, mine := place("login_cron"); mine {
		d.validateCrons(s.LoginCron, at)
	}
}

func (d *decoder) validateCrons(specs []string, at hcl.Range) {
	for _, spec := range specs {
		err, known := d.crons[spec]
		if !known {
			err = cronFault(spec)
			d.crons[spec] = err
		}
		if err != nil {
			d.fault(at, "Unsuitable cron schedule", fmt.Sprintf("It is %s%s. A schedule has five fields (minute, hour, day of month, month, day of week), or is a word such as \"@daily\"; CRON_TZ=Europe/Rome may stand before it.", d.quote(at, spec), d.cause(at, err)))
		}
	}
}

// cronFault says what is wrong with a spec.
func cronFault(spec string) error {
	if strings.HasPrefix(spec, "TZ=") || strings.HasPrefix(spec, "CRON_TZ=") {
		if !strings.Contains(spec, " ") { // which the parser does not survive
			return errors.New("a time zone alone is no schedule")
		}
	}
	schedule, err := cron.ParseStandard(spec)
	if err != nil {
		return err
	}
	if schedule.Next(time.Now()).IsZero() {
		return errors.New("it never comes due")
	}
	return nil
}

// cause shows an error about the value of an expression, as quote does.
func (d *decoder) cause(at hcl.Range, err error) string {
	if _, marked := d.marked[at]; marked {
		return ""
	}
	return fmt.Sprintf(": %.200v", err)
}
