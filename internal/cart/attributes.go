package cart

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// The limits of attributes. Sizes are bytes of all names and values together.
const (
	MaxAttributes     = 10       // names in one set
	MaxAttributeName  = 40       // characters of a name, each one of a-z, 0-9, _ . and -
	MaxAttributeValue = 1 << 10  // bytes of a value
	MaxLineAttributes = 1 << 10  // bytes of the attributes of a line
	MaxCartAttributes = 2 << 10  // bytes of the attributes of the cart itself
	MaxAllAttributes  = 64 << 10 // bytes of the attributes of a cart with its lines
)

// Attributes map names to values. The service keeps them and does not read them. They are held as a JSON object with
// sorted names, "" where there is none, so they can be compared with ==.
type Attributes string

// NewAttributes returns the attributes of the map. [CheckAttributes] says which ones are valid.
func NewAttributes(values map[string]string) Attributes {
	if len(values) == 0 {
		return ""
	}
	text, err := json.Marshal(values)
	if err != nil {
		panic(err) // A map of strings can always be marshalled.
	}
	return Attributes(text)
}

// DecodeAttributes returns the attributes of a JSON object of strings, in any spelling; none for an empty text.
func DecodeAttributes(text string) (Attributes, error) {
	if text == "" {
		return "", nil
	}
	var values map[string]string
	if err := json.Unmarshal([]byte(text), &values); err != nil {
		return "", fmt.Errorf("decode attributes: %w", err)
	}
	return NewAttributes(values), nil
}

// SetAttributes sets the attributes of a cart that a store is loading: its own, as a JSON object of strings, and those of its
// lines, as a JSON object of such objects by product. Nil is none.
func (c *Cart) SetAttributes(own, lines *string) (err error) {
	if own != nil {
		if c.Attributes, err = DecodeAttributes(*own); err != nil {
			return err
		}
	}
	if lines == nil {
		return nil
	}
	var byProduct map[int64]json.RawMessage
	if err := json.Unmarshal([]byte(*lines), &byProduct); err != nil {
		return fmt.Errorf("decode attributes of lines: %w", err)
	}
	for i := range c.Items {
		item := &c.Items[i]
		if item.Attributes, err = DecodeAttributes(string(byProduct[item.ProductID])); err != nil {
			return err
		}
	}
	return nil
}

// Map returns the attributes as a map, nil where there is none.
func (a Attributes) Map() map[string]string {
	if a == "" {
		return nil
	}
	var values map[string]string
	if err := json.Unmarshal([]byte(a), &values); err != nil {
		panic(err) // Attributes are made by NewAttributes only.
	}
	return values
}

// size returns the bytes of all names and values.
func (a Attributes) size() int { return sizeOf(a.Map()) }

func sizeOf(values map[string]string) (bytes int) {
	for name, value := range values {
		bytes += len(name) + len(value)
	}
	return bytes
}

// CheckAttributes checks a set of attributes that may have up to most bytes: [MaxLineAttributes] or [MaxCartAttributes].
// Its error is CodeInvalid, about that field.
func CheckAttributes(field string, values map[string]string, most int) error {
	ok := len(values) <= MaxAttributes && sizeOf(values) <= most
	for name, value := range values {
		ok = ok && name != "" && len(name) <= MaxAttributeName && strings.IndexFunc(name, notInName) < 0 &&
			len(value) <= MaxAttributeValue && utf8.ValidString(value) && !strings.ContainsRune(value, 0)
	}
	return check(field, ok)
}

func notInName(r rune) bool {
	return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_' && r != '.' && r != '-'
}

// checkSize returns an error if the attributes of the lines and of the cart together are too large.
func (c *Cart) checkSize() error {
	if c.size() > MaxAllAttributes {
		return errTooManyAttributes
	}
	return nil
}

// size returns the bytes of all attributes of the cart and its lines.
func (c *Cart) size() int {
	bytes := c.Attributes.size()
	for i := range c.Items {
		bytes += c.Items[i].Attributes.size()
	}
	return bytes
}

// and returns these attributes and those of others whose names are new, in the order of their names, as far as they fit
// into most bytes.
func (a Attributes) and(others Attributes, most int) Attributes {
	if others == "" {
		return a
	}
	all := a.Map()
	if all == nil {
		all = make(map[string]string)
	}
	size := sizeOf(all)
	more := others.Map()
	for _, name := range slices.Sorted(maps.Keys(more)) {
		if _, taken := all[name]; taken || len(all) == MaxAttributes || size+len(name)+len(more[name]) > most {
			continue
		}
		all[name] = more[name]
		size += len(name) + len(more[name])
	}
	return NewAttributes(all)
}
