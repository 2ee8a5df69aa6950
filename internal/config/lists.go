package config

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
)

// Networks is a list of networks.
type Networks []netip.Prefix

// String returns the list as its variable holds it.
func (n Networks) String() string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint([]netip.Prefix(n)), " ", ","), "[]")
}

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

// Origins is a list of origins, each a scheme and a host with a port where it is not the usual one.
type Origins []string

// String returns the list as its variable holds it.
func (o Origins) String() string { return strings.Join(o, ",") }

func parseOrigins(raw string) (Origins, error) {
	origins := Origins(elements(raw))
	for _, origin := range origins {
		if strings.Contains(origin, "*") {
			return nil, fmt.Errorf("%s stands for many", origin)
		}
		if err := new(http.CrossOriginProtection).AddTrustedOrigin(origin); err != nil {
			return nil, err
		}
	}
	return origins, nil
}

// elements returns what stands between the commas, without blanks; nothing where raw is blank.
func elements(raw string) []string {
	return strings.FieldsFunc(raw, func(r rune) bool { return r == ',' || r == ' ' })
}
