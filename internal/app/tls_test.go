package app

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	cartv1 "github.com/sellio/sellio-cart/api/sellio/cart/v1"
)

// authority signs certificates for one test.
type authority struct {
	*testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

var lastSerial atomic.Int64

func newAuthority(t *testing.T) *authority {
	a := &authority{T: t, pool: x509.NewCertPool()}
	der, key := a.sign(&x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	a.cert, a.key = cert, key
	a.pool.AddCert(cert)
	return a
}

// sign makes a certificate, which is self-signed if the authority has none yet.
func (a *authority) sign(template *x509.Certificate) ([]byte, *ecdsa.PrivateKey) {
	a.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.Fatal(err)
	}
	template.SerialNumber = big.NewInt(lastSerial.Add(1))
	template.Subject = pkix.Name{CommonName: "test"}
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := template, key
	if a.cert != nil {
		parent, signer = a.cert, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		a.Fatal(err)
	}
	return der, key
}

// issue writes a certificate for localhost, its key and the authority into the folder.
func (a *authority) issue(dir string) {
	a.Helper()
	der, key := a.sign(&x509.Certificate{
		DNSNames: []string{"localhost"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	})
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{
		"tls.crt": {Type: "CERTIFICATE", Bytes: der},
		"tls.key": {Type: "PRIVATE KEY", Bytes: private},
		"ca.crt":  {Type: "CERTIFICATE", Bytes: a.cert.Raw},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			a.Fatal(err)
		}
	}
}

// tlsEnv are the settings for the files of a folder.
func tlsEnv(dir string) []string {
	return []string{"TLS_CERT_FILE=" + filepath.Join(dir, "tls.crt"), "TLS_KEY_FILE=" + filepath.Join(dir, "tls.key")}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	a, dir := newAuthority(t), t.TempDir()
	a.issue(dir)
	p := serve(t, tlsEnv(dir)...)
	address := strings.TrimPrefix(p.rest, "https://")
	for major, protocols := range map[int][]string{1: {"http/1.1"}, 2: {"h2", "http/1.1"}} {
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: a.pool, NextProtos: protocols}, ForceAttemptHTTP2: major == 2}
		t.Cleanup(transport.CloseIdleConnections)
		resp, err := (&http.Client{Transport: transport}).Get(p.rest + "/healthz")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK || resp.ProtoMajor != major {
			t.Errorf("status %d over HTTP/%d, want 200 over HTTP/%d", resp.StatusCode, resp.ProtoMajor, major)
		}
	}
	if conn, err := tls.Dial("tcp", address, &tls.Config{RootCAs: a.pool, MaxVersion: tls.VersionTLS11}); err == nil {
		conn.Close()
		t.Error("TLS 1.1 is accepted")
	}
	plain := dial(t, address)
	say(t, plain, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
	if got := untilCut(t, plain); !strings.HasPrefix(got, "HTTP/1.0 400 ") {
		t.Errorf("a request in the clear got %q", got)
	}
	port := p.admin[strings.LastIndex(p.admin, ":")+1:]
	if _, stderr, code := runOnce(t, []string{"healthcheck"}, append(tlsEnv(dir), "ADMIN_PORT="+port)...); code != 0 {
		t.Errorf("healthcheck: exit code %d\n%s", code, stderr)
	}
	p.getCart(t, &tls.Config{RootCAs: a.pool}, codes.NotFound)
	p.getCart(t, &tls.Config{}, codes.Unavailable) // the client does not know the authority
}

// getCart asks for a cart that does not exist, over gRPC on a connection of its own.
func (p *process) getCart(t *testing.T, config *tls.Config, want codes.Code) {
	t.Helper()
	conn, err := grpc.NewClient(p.grpc, grpc.WithTransportCredentials(credentials.NewTLS(config)))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, err = cartv1.NewCartServiceClient(conn).GetCart(t.Context(), &cartv1.GetCartRequest{CartId: 1})
	if got := status.Code(err); got != want {
		t.Errorf("got %v, want %v: %v", got, want, err)
	}
}

func TestClientCertificates(t *testing.T) {
	t.Parallel()
	ours, others := newAuthority(t), newAuthority(t)
	dir, theirs := t.TempDir(), t.TempDir()
	ours.issue(dir)
	others.issue(theirs)
	p := serve(t, append(tlsEnv(dir), "GRPC_CLIENT_CA_FILE="+filepath.Join(dir, "ca.crt"))...)
	with := func(dirs ...string) *tls.Config {
		c := &tls.Config{RootCAs: ours.pool}
		for _, dir := range dirs {
			pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key"))
			if err != nil {
				t.Fatal(err)
			}
			// The client then shows it for any authority that the server asks for.
			c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
		}
		return c
	}
	p.getCart(t, with(dir), codes.NotFound)
	p.getCart(t, with(theirs), codes.Unavailable)
	p.getCart(t, with(), codes.Unavailable)
	resp, err := (&http.Client{Transport: &http.Transport{TLSClientConfig: with(), DisableKeepAlives: true}}).Get(p.rest + "/healthz")
	if err != nil {
		t.Fatalf("REST asks for a certificate too: %v", err)
	}
	resp.Body.Close()
}

// TestTLSFilesChange changes the files as Kubernetes does, to good ones, to bad ones, and to good ones again.
func TestTLSFilesChange(t *testing.T) {
	t.Parallel()
	a, dir := newAuthority(t), t.TempDir()
	turn := func(n string, fill func(dir string)) {
		t.Helper()
		if err := os.Mkdir(filepath.Join(dir, n), 0o700); err != nil {
			t.Fatal(err)
		}
		fill(filepath.Join(dir, n))
		if err := os.Symlink(n, filepath.Join(dir, "next")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "next"), filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	turn("1", a.issue)
	for _, name := range []string{"tls.crt", "tls.key"} {
		if err := os.Symlink(filepath.Join("..data", name), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	p := serve(t, tlsEnv(dir)...)
	shown := func() int64 {
		t.Helper()
		conn, err := tls.Dial("tcp", strings.TrimPrefix(p.rest, "https://"), &tls.Config{RootCAs: a.pool})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
	}
	until := func(done func(serial int64) bool) (serial int64) {
		t.Helper()
		for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
			if serial = shown(); done(serial) {
				return serial
			}
		}
		t.Fatalf("nothing has changed:\n%s", p.logged())
		return 0
	}
	first := shown()
	turn("2", a.issue)
	second := until(func(serial int64) bool { return serial != first })
	turn("3", func(dir string) { // a key that does not match the certificate
		a.issue(dir)
		key, err := os.ReadFile(filepath.Join(dir, "tls.key"))
		if err != nil {
			t.Fatal(err)
		}
		a.issue(dir)
		if err := os.WriteFile(filepath.Join(dir, "tls.key"), key, 0o600); err != nil {
			t.Fatal(err)
		}
	})
	if got := until(func(int64) bool { return strings.Contains(p.logged(), "cannot be used") }); got != second {
		t.Errorf("shows certificate %d, want the old one, %d", got, second)
	}
	turn("4", a.issue)
	until(func(serial int64) bool { return serial != second })
}

func TestBadTLSFilesAreOneLine(t *testing.T) {
	t.Parallel()
	a, good, other := newAuthority(t), t.TempDir(), t.TempDir()
	a.issue(good)
	a.issue(other)
	mixed := []string{tlsEnv(good)[0], tlsEnv(other)[1]}
	for name, env := range map[string][]string{
		"a key of another certificate": mixed,
		"no files":                     tlsEnv(t.TempDir()),
		"no authority":                 append(tlsEnv(good), "GRPC_CLIENT_CA_FILE="+filepath.Join(good, "tls.key")),
	} {
		_, stderr, code := runOnce(t, nil, env...)
		if code != 1 || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, "TLS_CERT_FILE="+env[0][len("TLS_CERT_FILE="):]) {
			t.Errorf("%s: exit code %d, want 1 and one line:\n%s", name, code, stderr)
		}
	}
}
