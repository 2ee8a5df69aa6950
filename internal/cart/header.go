package cart

import (
	"strconv"
	"strings"
)

// ParseMatch reads a condition in the form of the header If-Match (RFC 9110, section 13.1.1): * or a list of entity tags. A
// mark of weakness is ignored, since proxies add it when they compress, and a tag names a state and not its bytes. A tag that
// is not of this service matches no cart. The error is about the field "if_match".
func ParseMatch(text string) (*Match, error) {
	text = strings.Trim(text, " \t")
	if text == "*" {
		return &Match{}, nil
	}
	var m Match
	for text != "" {
		if after, empty := strings.CutPrefix(text, ","); empty {
			text = strings.TrimLeft(after, " \t")
			continue
		}
		opaque, rest, ok := cutTag(strings.TrimPrefix(text, "W/"))
		rest = strings.TrimLeft(rest, " \t")
		if !ok || rest != "" && rest[0] != ',' {
			return nil, InvalidField("if_match")
		}
		m.Tags = append(m.Tags, parseTag(opaque))
		text = rest
	}
	if len(m.Tags) == 0 {
		return nil, InvalidField("if_match")
	}
	return &m, nil
}

// cutTag cuts a text in quotes off: visible characters of ASCII, and bytes beyond it.
func cutTag(text string) (opaque, rest string, ok bool) {
	text, ok = strings.CutPrefix(text, `"`)
	if !ok {
		return "", "", false
	}
	opaque, rest, ok = strings.Cut(text, `"`)
	return opaque, rest, ok && strings.IndexFunc(opaque, func(r rune) bool { return r <= ' ' || r == 0x7f }) < 0
}

// parseTag returns the tag up to a dot, or the zero Tag, which no cart has, if it is not of this service.
func parseTag(opaque string) Tag {
	opaque, _, _ = strings.Cut(opaque, ".")
	id, version, _ := strings.Cut(opaque, "-")
	t := Tag{ID: positive(id), Version: positive(version)}
	if t.ID == 0 || t.Version == 0 {
		return Tag{}
	}
	return t
}

// positive returns the number that the digits write in its shortest form, or 0.
func positive(digits string) int64 {
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || strconv.FormatInt(n, 10) != digits {
		return 0
	}
	return n
}

// Matches reports whether the condition holds for the cart.
func (m *Match) Matches(c *Cart) bool { return m.check(c) == nil }

// ParseKey reads an idempotency key in the form of the header Idempotency-Key: in quotes (RFC 8941, section 3.3.3) or
// bare, which is the same key. The error is about the field "idempotency_key".
func ParseKey(text string) (string, error) {
	key := strings.Trim(text, " \t")
	if quoted, ok := strings.CutPrefix(key, `"`); ok {
		if key, ok = unquote(quoted); !ok {
			return "", InvalidField("idempotency_key")
		}
	}
	return key, check("idempotency_key", ValidKey(key))
}

// unquote reads a string up to the quote that ends it, which must be the last character.
func unquote(text string) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch c := text[i]; c {
		case '"':
			return b.String(), i == len(text)-1
		case '\\':
			if i++; i == len(text) || text[i] != '"' && text[i] != '\\' {
				return "", false
			}
			b.WriteByte(text[i])
		default:
			b.WriteByte(c)
		}
	}
	return "", false
}
