package config

import (
	"errors"
	"net/netip"
	"regexp"
)

// Host is an IP address or a host name, "" where none is set.
type Host string

// hostName is the form of host names (RFC 1123). The last label is not a number, or it would be a bad IPv4 address.
var hostName = regexp.MustCompile(`^(?:[0-9A-Za-z](?:[0-9A-Za-z-]*[0-9A-Za-z])?\.)*[A-Za-z](?:[0-9A-Za-z-]*[0-9A-Za-z])?$`)

func parseHost(raw string) (Host, error) {
	if _, err := netip.ParseAddr(raw); err != nil && (!hostName.MatchString(raw) || len(raw) > 253) {
		return "", errors.New("neither an IP address nor a host name")
	}
	return Host(raw), nil
}
