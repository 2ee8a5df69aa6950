package docsui

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"go.yaml.in/yaml/v3"
)

// openAPIJSON returns an OpenAPI document, given as YAML, as JSON. Keys keep their order and
// numbers their digits. A value that JSON cannot express exactly is an error; it is never approximated.
func openAPIJSON(spec []byte) ([]byte, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(spec, &doc); err != nil {
		return nil, err
	}
	if doc.Kind != yaml.DocumentNode {
		return nil, errors.New("the document is empty")
	}
	var out bytes.Buffer
	if err := writeJSON(&out, doc.Content[0]); err != nil {
		return nil, err
	}
	var head struct {
		OpenAPI string `json:"openapi"`
	}
	if err := json.Unmarshal(out.Bytes(), &head); err != nil {
		return nil, err
	}
	if head.OpenAPI == "" {
		return nil, errors.New(`the document has no "openapi" version`)
	}
	return out.Bytes(), nil
}

func writeJSON(out *bytes.Buffer, n *yaml.Node) error {
	switch n.Kind {
	case yaml.MappingNode:
		return writeObject(out, n)
	case yaml.SequenceNode:
		return writeArray(out, n)
	case yaml.ScalarNode:
		return writeScalar(out, n)
	default:
		return fmt.Errorf("line %d: an alias has no counterpart in JSON; use $ref", n.Line)
	}
}

// writeObject looks for repeated keys itself: a node tree still holds both.
func writeObject(out *bytes.Buffer, n *yaml.Node) error {
	seen := make(map[string]bool, len(n.Content)/2)
	out.WriteByte('{')
	for i := 0; i < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind != yaml.ScalarNode {
			return fmt.Errorf("line %d: a key must be a scalar", key.Line)
		}
		if seen[key.Value] {
			return fmt.Errorf("line %d: key %q is repeated", key.Line, key.Value)
		}
		seen[key.Value] = true
		if i > 0 {
			out.WriteByte(',')
		}
		// A response code may stand without quotes, but a key in JSON is always a string.
		if err := writeString(out, key.Value); err != nil {
			return err
		}
		out.WriteByte(':')
		if err := writeJSON(out, value); err != nil {
			return err
		}
	}
	out.WriteByte('}')
	return nil
}

func writeArray(out *bytes.Buffer, n *yaml.Node) error {
	out.WriteByte('[')
	for i, item := range n.Content {
		if i > 0 {
			out.WriteByte(',')
		}
		if err := writeJSON(out, item); err != nil {
			return err
		}
	}
	out.WriteByte(']')
	return nil
}

func writeScalar(out *bytes.Buffer, n *yaml.Node) error {
	switch n.ShortTag() {
	case "!!str", "!!timestamp": // An example of a date may stand without quotes.
		return writeString(out, n.Value)
	case "!!null":
		out.WriteString("null")
		return nil
	case "!!bool":
		var value bool
		if err := n.Decode(&value); err != nil {
			return err
		}
		fmt.Fprint(out, value)
		return nil
	case "!!int", "!!float":
		// Copied digit by digit: float64 would turn 9223372036854775807 into 9.22e18.
		if json.Valid([]byte(n.Value)) {
			out.WriteString(n.Value)
			return nil
		}
	}
	return fmt.Errorf("line %d: %s %q has no counterpart in JSON", n.Line, n.ShortTag(), n.Value)
}

func writeString(out *bytes.Buffer, s string) error {
	quoted, err := json.Marshal(s)
	if err != nil {
		return err
	}
	out.Write(quoted)
	return nil
}
