package config

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// validateSchedule judges a complete schedule; place tells where a key stands.
func (d *decoder) validateSchedule(s Schedule, place func(string) rangeOf, prefix string) {
	if !(s.RefreshAt > 0 && s.RefreshAt < 1) {
		d.fault(place(prefix+"refresh_at"), "Unsuitable refresh_at", "The refresh_at is a fraction of the lifetime: more than 0 and less than 1, such as 0.75.")
	}
	if !(s.Jitter >= 0 && s.Jitter <= 0.5) {
		d.fault(place(prefix+"jitter"), "Unsuitable jitter", "The jitter is a fraction from 0 to 0.5, such as 0.1.")
	}
	if s.MinInterval <= 0 {
		d.fault(place(prefix+"min_interval"), "Unsuitable min_interval", "The min_interval is what keeps requests apart whatever the server answers. It must be longer than nothing.")
	}
	if s.Lead > longestLead {
		d.warn(place(prefix+"lead"), "Very long lead", fmt.Sprintf("A lead of %s makes every token that lives shorter be refreshed every min_interval.", s.Lead))
	}
	d.validateCrons(s.Cron, place(prefix+"cron"))
	d.validateCrons(s.LoginCron, place(prefix+"login_cron"))
}

func (d *decoder) validateCrons(specs []string, at rangeOf) {
	for _, spec := range specs {
		err, known := d.crons[spec]
		if !known {
			err = cronFault(spec)
			d.crons[spec] = err
		}
		if err != nil {
			d.fault(at, "Unsuitable cron schedule", fmt.Sprintf("%.64q: %.200v. It has five fields (minute, hour, day of month, month, day of week), or is a word such as \"@daily\"; CRON_TZ=Europe/Rome may stand before it.", spec, err))
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
