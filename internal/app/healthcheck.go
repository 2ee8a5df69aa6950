package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/spf13/cobra"
)

// healthcheck asks the service on this machine whether it is alive. It asks on the admin port, where clients cannot take
// up all connections.
func (a *app) healthcheck(cmd *cobra.Command, _ []string) error {
	cfg, err := a.load()
	if err != nil {
		return err
	}
	if cfg.AdminPort == 0 {
		return errors.New("ADMIN_PORT is 0, so the port of the service is not known")
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), 3*time.Second)
	defer cancel()
	address := net.JoinHostPort(cmp.Or(string(cfg.AdminAddress), "127.0.0.1"), strconv.Itoa(cfg.AdminPort))
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/healthz", http.NoBody)
	if err != nil {
		return err
	}
	client := http.Client{Transport: new(http.Transport)} // without a proxy
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	if err := resp.Body.Close(); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the service answered %s", resp.Status)
	}
	return nil
}
