package observe

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
)

// report is an answer in both forms.
type report struct {
	code int
	text string
	json any
}

// reply sends what answer says, in the form that was asked for.
func reply(w http.ResponseWriter, r *http.Request, answer func(*http.Request) report) {
	asJSON, ok := wantsJSON(r)
	if !ok {
		http.Error(w, "format is text or json", http.StatusBadRequest)
		return
	}
	a := answer(r)
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Vary", "Accept")
	h.Set("X-Content-Type-Options", "nosniff")
	if asJSON {
		h.Set("Content-Type", "application/json")
		w.WriteHeader(a.code)
		_ = json.NewEncoder(w).Encode(a.json)
		return
	}
	h.Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(a.code)
	_, _ = io.WriteString(w, a.text)
}

// wantsJSON reads ?format, and without it the Accept header: JSON is sent to who
// names it and does not name text as well, as browsers do.
func wantsJSON(r *http.Request) (asJSON, ok bool) {
	switch r.URL.Query().Get("format") {
	case "json":
		return true, true
	case "text":
		return false, true
	case "":
		accept := r.Header.Get("Accept")
		return strings.Contains(accept, "application/json") && !strings.Contains(accept, "text/"), true
	}
	return false, false
}
