package rest

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
)

func TestClientAddress(t *testing.T) {
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for name, tt := range map[string]struct {
		peer string
		said []string
		want string
	}{
		"no proxy":                {"192.0.2.1:1", nil, "192.0.2.1"},
		"no proxy, made up":       {"192.0.2.1:1", []string{"198.51.100.1"}, "192.0.2.1"},
		"a proxy":                 {"10.0.0.1:1", []string{"192.0.2.1"}, "192.0.2.1"},
		"a proxy, made up":        {"10.0.0.1:1", []string{"198.51.100.1, 192.0.2.1"}, "192.0.2.1"},
		"two proxies":             {"10.0.0.1:1", []string{"192.0.2.1, 10.0.0.2"}, "192.0.2.1"},
		"two headers":             {"10.0.0.1:1", []string{"192.0.2.1", "10.0.0.2"}, "192.0.2.1"},
		"proxies only":            {"10.0.0.1:1", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		"no header":               {"10.0.0.1:1", nil, "10.0.0.1"},
		"not an address":          {"10.0.0.1:1", []string{"192.0.2.1, unknown"}, "10.0.0.1"},
		"with a port":             {"10.0.0.1:1", []string{"192.0.2.1:4711"}, "192.0.2.1"},
		"IPv6":                    {"[fd00::1]:1", []string{"2001:db8::1"}, "2001:db8::1"},
		"IPv4 in IPv6":            {"[::ffff:10.0.0.1]:1", []string{"::ffff:192.0.2.1"}, "192.0.2.1"},
		"not an address of a net": {"@", []string{"192.0.2.1"}, "invalid IP"},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.RemoteAddr = tt.peer
			for _, s := range tt.said {
				r.Header.Add("X-Forwarded-For", s)
			}
			if got := clientAddress(r, proxies).String(); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}
