package rest

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// clientAddress returns the client's address: the peer's or, if the peer is a trusted proxy, one from X-Forwarded-For.
// Each proxy appends the address of its own peer, so the client's is the last one that is not a trusted proxy's.
// The client may have made up the addresses before it.
func clientAddress(r *http.Request, proxies []netip.Prefix) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	address := peer.Addr().Unmap()
	said := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, text := range slices.Backward(said) {
		if !slices.ContainsFunc(proxies, func(p netip.Prefix) bool { return p.Contains(address) }) {
			break
		}
		next, err := parseForwarded(text)
		if err != nil {
			break
		}
		address = next
	}
	return address
}

// parseForwarded parses an address. Some proxies add a port.
func parseForwarded(text string) (netip.Addr, error) {
	text = strings.TrimSpace(text)
	if withPort, err := netip.ParseAddrPort(text); err == nil {
		return withPort.Addr().Unmap(), nil
	}
	address, err := netip.ParseAddr(text)
	return address.Unmap(), err
}
