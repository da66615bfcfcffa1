package config

import (
	"fmt"
	"maps"
	"slices"
)

// validateData judges what a sink of several keys holds; judge says what is
// wrong with a key.
func (d *decoder) validateData(s section, data, named map[string]string, o *FormatOptions, judge func(key string) string) {
	if (!s.has("data") || s.isGood("data")) && (!s.has("formats") || s.isGood("formats")) && len(data)+len(named) == 0 && s.knows("data") && s.knows("formats") {
		d.fault(s.at("data"), "Sink without data", s.note("A sink of this kind says what it holds: data = { token = \"{{ .AccessToken }}\" }, or formats = { token = \"token\" }."))
	}
	for _, key := range slices.Sorted(maps.Keys(data)) {
		if wrong := judge(key); wrong != "" {
			s.fault("data", "Unsuitable key", fmt.Sprintf("%s: it is %s.", wrong, s.quote("data", key)))
		}
		if err := d.templateFault(data[key]); err != nil {
			s.fault("data", "Unsuitable template", fmt.Sprintf("The template of %s cannot be parsed%s.", s.quote("data", key), d.cause(s.at("data"), err)))
		}
	}
	var used []string
	for _, key := range slices.Sorted(maps.Keys(named)) {
		if wrong := judge(key); wrong != "" {
			s.fault("formats", "Unsuitable key", fmt.Sprintf("%s: it is %s.", wrong, s.quote("formats", key)))
		}
		if _, twice := data[key]; twice {
			s.fault("formats", "Key that is there twice", fmt.Sprintf("%s is in data and in formats. Leave one of them out.", s.quote("formats", key)))
		}
		if format := named[key]; !slices.Contains(formats, format) {
			s.fault("formats", "Unknown format", fmt.Sprintf("The formats are %s; that of %s is %s.%s", quotedList(formats), s.quote("formats", key), s.quote("formats", format), didYouMean(format, formats)))
		} else if !slices.Contains(used, format) {
			used = append(used, format)
		}
	}
	d.validateOptions(s, used, o)
}
