package listen

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// TLSFiles are the paths of PEM files.
type TLSFiles struct {
	Cert, Key string
	// ClientCA holds the authorities, one of which must have signed a client's certificate. Without it clients
	// are not asked for a certificate.
	ClientCA string
}

// interval is the shortest time between two looks at the files.
const interval = time.Second

// TLS returns the configuration of a server that speaks these protocols, the preferred one first. Each handshake
// uses the files as they were a second before, or later. If new files cannot be used, the old ones stay in force, and
// a warning is logged.
func TLS(files TLSFiles, log *slog.Logger, protocols ...string) (*tls.Config, error) {
	s := &source{files: files, protocols: protocols, log: log}
	s.seen, s.looked = s.look(), time.Now()
	var err error
	if s.current, err = s.load(); err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		NextProtos:         protocols,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return s.newest(), nil },
	}, nil
}

// source makes configurations from the files.
type source struct {
	files     TLSFiles
	protocols []string
	log       *slog.Logger

	mu      sync.Mutex
	current *tls.Config
	seen    [3]os.FileInfo // as the files were when they were last read, or last failed to be
	looked  time.Time
}

// newest returns the current configuration, and makes it again first if the files have changed.
func (s *source) newest() *tls.Config {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.looked) < interval {
		return s.current
	}
	s.looked = time.Now()
	// Look at the files before reading them: a change in between is then seen by the next look.
	found := s.look()
	if !changed(s.seen, found) {
		return s.current
	}
	s.seen = found
	next, err := s.load()
	if err != nil {
		s.log.Warn("The new TLS files cannot be used. The old ones stay in force.", "error", err)
		return s.current
	}
	s.log.Info("The TLS files were reloaded.", "certificate", s.files.Cert, "not_after", next.Certificates[0].Leaf.NotAfter)
	s.current = next
	return next
}

// look returns the status of the files, nil for one that is not there. It follows symbolic links: Kubernetes changes
// all files at once by changing one link.
func (s *source) look() (found [3]os.FileInfo) {
	for i, path := range []string{s.files.Cert, s.files.Key, s.files.ClientCA} {
		if info, err := os.Stat(path); err == nil {
			found[i] = info
		}
	}
	return found
}

func changed(was, is [3]os.FileInfo) bool {
	for i := range was {
		if was[i] == nil || is[i] == nil {
			if was[i] != is[i] {
				return true
			}
			continue
		}
		if !os.SameFile(was[i], is[i]) || was[i].Size() != is[i].Size() || !was[i].ModTime().Equal(is[i].ModTime()) {
			return true
		}
	}
	return false
}

// load reads the files.
func (s *source) load() (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(s.files.Cert, s.files.Key)
	if err != nil {
		return nil, err
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, NextProtos: s.protocols}
	if s.files.ClientCA == "" {
		return c, nil
	}
	authorities, err := os.ReadFile(s.files.ClientCA)
	if err != nil {
		return nil, err
	}
	c.ClientCAs, c.ClientAuth = x509.NewCertPool(), tls.RequireAndVerifyClientCert
	if !c.ClientCAs.AppendCertsFromPEM(authorities) {
		return nil, fmt.Errorf("%s holds no certificate", s.files.ClientCA)
	}
	return c, nil
}
