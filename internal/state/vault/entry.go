package vault

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/tokend-project/tokend/internal/state"
	"github.com/tokend-project/tokend/internal/state/fenced"
	"github.com/tokend-project/tokend/internal/vault"
)

// The fields of an entry.
const (
	writeField       = "write"
	recordField      = "record"
	partsField       = "parts" // names, one a line
	deletedField     = "deleted"
	quarantinedField = "quarantined" // the path
	reasonField      = "reason"
	partField        = "part"
)

type (
	entry = fenced.Entry[int]
	mark  = fenced.Mark[int]
)

// Still implements [fenced.Place]. Somebody's deletion of a version is no write.
func (*requests) Still(was, now mark) bool {
	return now == was || now.Version == was.Version && now.Sum == fenced.Sum{}
}

// Where implements [fenced.Place].
func (q *requests) Where(name string) string { return q.recordPath(name) }

// entryOf reads an entry, the zero one for none.
func entryOf(from vault.Entry) entry {
	e := entry{Mark: mark{Version: from.Version}}
	if from.Data == nil {
		e.Gone, e.Why = true, "none was saved"
		if from.Version > 0 {
			e.Why = "somebody has deleted the newest version of the entry"
		}
		return e
	}
	e.Write, e.Sum = text(from.Data, writeField), sumOf(from.Data)
	e.Pieces = strings.Fields(text(from.Data, partsField))
	if b, err := decode(text(from.Data, recordField)); err == nil {
		e.Record = b // what is no base64 is no record either
	}
	switch where := text(from.Data, quarantinedField); {
	case text(from.Data, deletedField) != "":
		e.Gone, e.Why = true, "it was deleted"
	case where != "":
		e.Why = fmt.Sprintf("it was put into quarantine, in the entry %s (%s)", where, text(from.Data, reasonField))
	}
	return e
}

// dataOf are the fields of an entry as a change makes it.
func dataOf(c fenced.Change) map[string]any {
	data := map[string]any{writeField: c.ID}
	switch {
	case c.Delete:
		data[deletedField] = "true"
	case c.Quarantined != "":
		data[quarantinedField], data[reasonField] = c.Quarantined, c.Reason
	case len(c.Pieces) > 0:
		data[partsField] = strings.Join(c.Pieces, "\n")
	default:
		data[recordField] = base64.StdEncoding.EncodeToString(c.Record)
	}
	return data
}

// text returns a field, empty when there is none or it is no text.
func text(data map[string]any, field string) string {
	value, _ := data[field].(string)
	return value
}

// sumOf is the digest of all data.
func sumOf(data map[string]any) fenced.Sum {
	text, err := json.Marshal(data) // keys are sorted
	if err != nil {
		return fenced.Sum{} // it came out of JSON or has nothing but text
	}
	return sha256.Sum256(text)
}

func decode(text string) ([]byte, error) {
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(b) == 0 {
		return nil, fmt.Errorf("%w: it is no base64", state.ErrDamaged)
	}
	return b, nil
}
