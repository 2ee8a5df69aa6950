package rest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/go-faster/jx"
)

// numbers are the whole-number fields of bodies and parameters of queries.
var numbers = map[string]bool{
	"company_id": true, "user_id": true, "product_id": true, "quantity": true, "status": true, "status_param": true,
	"limit": true, "offset": true,
}

// maxNumber is the largest length of a whole number, in characters.
const maxNumber = 40

var byteOrderMark = []byte("\uFEFF")

// reread returns a refused request with its whole numbers in plain form and without a byte order mark, or nil if that
// changes nothing. The Python service took all these forms, and some clients send no other.
func reread(r *http.Request) *http.Request {
	again := r.WithContext(r.Context())
	changed := false
	if takesBody(r) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil // explain reads the body again, and reports the error.
		}
		if plain, ok := plainBody(body); ok {
			body, changed = plain, true
			again.ContentLength = int64(len(body))
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		again.Body = io.NopCloser(bytes.NewReader(body))
	}
	if plain, ok := plainQuery(r); ok {
		u := *r.URL
		u.RawQuery = plain
		again.URL, changed = &u, true
	}
	if !changed {
		return nil
	}
	return again
}

// plainBody returns the body in plain form, and whether that differs.
func plainBody(body []byte) (_ []byte, changed bool) {
	body, changed = bytes.CutPrefix(body, byteOrderMark)
	d := jx.DecodeBytes(body)
	var e jx.Encoder
	e.ObjStart()
	err := d.ObjBytes(func(d *jx.Decoder, key []byte) error {
		raw, err := d.Raw()
		if err != nil {
			return err
		}
		plain, ok := plainValue(string(key), raw)
		changed = changed || ok
		e.FieldStart(string(key))
		e.Raw(plain)
		return nil
	})
	e.ObjEnd()
	if err != nil || !errors.Is(d.Skip(), io.EOF) {
		return body, changed // Not an object: drop only the mark, and let it be refused.
	}
	return e.Bytes(), changed
}

// plainValue returns the value of a field in plain form, and whether that differs.
func plainValue(field string, raw jx.Raw) (_ jx.Raw, changed bool) {
	if field != "ids" {
		if !numbers[field] {
			return raw, false
		}
		return plainNumber(raw)
	}
	var e jx.Encoder
	e.ArrStart()
	err := jx.DecodeBytes(raw).Arr(func(d *jx.Decoder) error {
		id, err := d.Raw()
		if err != nil {
			return err
		}
		plain, ok := plainNumber(id)
		changed = changed || ok
		e.Raw(plain)
		return nil
	})
	e.ArrEnd()
	if err != nil || !changed {
		return raw, false
	}
	return e.Bytes(), true
}

// plainNumber returns a JSON number, or a string that holds one, as a whole number, and whether that differs.
func plainNumber(raw jx.Raw) (_ jx.Raw, changed bool) {
	text := string(raw)
	if raw.Type() == jx.String {
		text = text[1 : len(text)-1]
	}
	n, ok := whole(text)
	if !ok || n == string(raw) {
		return raw, false
	}
	return jx.Raw(n), true
}

// plainQuery returns the query in plain form, and whether that differs.
func plainQuery(r *http.Request) (_ string, changed bool) {
	query := r.URL.Query()
	for name, values := range query {
		for i, text := range values {
			if n, ok := whole(text); ok && numbers[name] && n != text {
				values[i], changed = n, true
			}
		}
	}
	return query.Encode(), changed
}

// whole returns a JSON number written in digits alone. It returns false if the text is not a JSON number, or the number
// has a fraction or does not fit into an int64. It moves the point instead of computing powers, so that a large exponent
// costs nothing.
func whole(text string) (string, bool) {
	if len(text) > maxNumber || !isNumber(text) {
		return "", false
	}
	digits, negative := strings.CutPrefix(text, "-")
	exponent := 0
	if at := strings.IndexAny(digits, "eE"); at >= 0 {
		var err error
		if exponent, err = strconv.Atoi(digits[at+1:]); err != nil {
			return "", false
		}
		digits = digits[:at]
	}
	digits, fraction, _ := strings.Cut(digits, ".")
	exponent -= len(fraction)
	digits = strings.TrimLeft(digits+fraction, "0")
	if digits == "" {
		return "0", true
	}
	significant := strings.TrimRight(digits, "0")
	exponent += len(digits) - len(significant)
	if exponent < 0 || exponent > maxNumber {
		return "", false
	}
	n := significant + strings.Repeat("0", exponent)
	if negative {
		n = "-" + n
	}
	_, err := strconv.ParseInt(n, 10, 64)
	return n, err == nil
}

// isNumber reports whether the text is a JSON number without space around it.
func isNumber(text string) bool {
	first := strings.TrimPrefix(text, "-")
	last := text[max(0, len(text)-1):]
	isDigit := func(s string) bool { return s != "" && s[0] >= '0' && s[0] <= '9' }
	return isDigit(first) && isDigit(last) && json.Valid([]byte(text))
}
