package config

import (
	"fmt"
	"net/netip"
	"strings"
)

// Networks is a list of networks.
type Networks []netip.Prefix

// String returns the list as its variable holds it.
func (n Networks) String() string { return strings.Trim(strings.ReplaceAll(fmt.Sprint([]netip.Prefix(n)), " ", ","), "[]") }

func parseNetworks(raw string) (n Networks, err error) {
	for _, text := range elements(raw) {
		network, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, err
		}
		n = append(n, network)
	}
	return n, nil
}

// elements returns what stands between the commas, without blanks; nothing where raw is blank.
func elements(raw string) []string {
	return strings.FieldsFunc(raw, func(r rune) bool { return r == ',' || r == ' ' })
}
